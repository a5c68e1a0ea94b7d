#!/usr/bin/env bash
# Compiles the Node binding of librdkafka against a given librdkafka.so.
# build-binding.sh PACKAGE_FOLDER LIBRDKAFKA_SO
set -euo pipefail
package=$1
library=$2
libraries=$(dirname "$library")
link=$package/../rdkafka
mkdir -p "$link"
link=$(cd "$link" && pwd)
ln -sf "$library" "$link/librdkafka.so"
headers=$package/deps/librdkafka
# The C++ wrapper wants librdkafka's build configuration, of which it needs this one line.
echo '#define SOLIB_EXT ".so"' >"$headers/config.h"
g++ -shared -fPIC -O1 -std=c++11 -I"$headers/src" -I"$headers/src-cpp" "$headers"/src-cpp/*.cpp \
  -L"$link" -lrdkafka -Wl,-rpath,"$libraries" -o "$link/librdkafka++.so"
node_home=$(node -p 'path.dirname(path.dirname(process.execPath))')
npm_cli=$(readlink -f "$(command -v npm)")
node_gyp=$(dirname "$npm_cli")/../node_modules/node-gyp/bin/node-gyp.js
flags=()
[ -d "$node_home/include/node" ] && flags=(--nodedir="$node_home")
cd "$package"
export BUILD_LIBRDKAFKA=0 CXXFLAGS=-O1
export CPLUS_INCLUDE_PATH=$headers/src:$headers/src-cpp
export LDFLAGS="-L$link -Wl,-rpath,$link -Wl,-rpath,$libraries"
exec node "$node_gyp" rebuild "${flags[@]}"
