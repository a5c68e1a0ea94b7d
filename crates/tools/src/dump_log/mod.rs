//! `dump-log`: what stands in the files of a log, as `kafka-dump-log.sh` shows it.

mod batches;
mod decode;
mod index;
mod schema;
mod schemas;

use std::path::{Path, PathBuf};

use crate::error::{Result, failed};
use crate::options::{Options, Parser, flag, maybe_value, value, value_or};
use crate::output::{errln, outln};

use decode::Decoder;

pub(crate) const PARSER: Parser = Parser {
    purpose: "Shows the contents of log segments, snapshots and indexes, to find out what is wrong with them.",
    options: &[
        value("files", "file1, file2, ...", "REQUIRED: The files to show, between commas."),
        flag("print-data-log", "Show keys and values too. Any decoder sets this."),
        flag("verify-index-only", "Check indexes without showing their entries."),
        flag("index-sanity-check", "Make only the check that a broker makes at start."),
        value_or("max-message-size", "size", "5242880", "Size of the largest message."),
        value_or("max-bytes", "size", "2147483647", "Read only this many bytes of each log."),
        flag("deep-iteration", "Show records, not only batches. --print-data-log sets this."),
        maybe_value("value-decoder-class", "class", "Ignored: values are shown as text."),
        maybe_value("key-decoder-class", "class", "Ignored: keys are shown as text."),
        flag("offsets-decoder", "Read records as those of __consumer_offsets."),
        flag("transaction-log-decoder", "Read records as those of __transaction_state."),
        flag("cluster-metadata-decoder", "Read records as those of __cluster_metadata."),
        flag("remote-log-metadata-decoder", "Read records as those of __remote_log_metadata."),
        flag("share-group-state-decoder", "Read records as those of __share_group_state."),
        flag("skip-record-metadata", "Leave out offsets, sizes and the like of records."),
    ],
};

/// How to show a file.
#[derive(Debug)]
struct Settings {
    print_data: bool,
    deep: bool,
    skip_metadata: bool,
    sanity_only: bool,
    verify_only: bool,
    max_bytes: u64,
    decoder: Decoder,
}

impl Settings {
    fn read(options: &Options) -> Result<Self> {
        let decoder = Decoder::chosen(options);
        let named = options.has_any(&["value-decoder-class", "key-decoder-class"]);
        let print_data = options.has("print-data-log") || named || !matches!(decoder, Decoder::Text);
        Ok(Self {
            print_data,
            deep: options.has("deep-iteration") || print_data,
            skip_metadata: options.has("skip-record-metadata"),
            sanity_only: options.has("index-sanity-check"),
            verify_only: options.has("verify-index-only"),
            max_bytes: options.number("max-bytes")?.unwrap_or(i32::MAX as u64),
            decoder,
        })
    }
}

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> Result {
    let options = PARSER.parse_or_help(args)?;
    let settings = Settings::read(&options)?;
    let files = options.required("files")?;
    let mut complaints = Vec::new();
    for file in files.split(',').filter(|file| !file.is_empty()) {
        let path = PathBuf::from(file);
        outln!("Dumping {file}");
        let suffix = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        match suffix {
            "log" | "checkpoint" => batches::dump(&path, &settings, &mut complaints)?,
            "index" => index::dump_offset_index(&path, &settings, &mut complaints)?,
            "timeindex" => index::dump_time_index(&path, &settings, &mut complaints)?,
            "snapshot" => index::dump_producer_snapshot(&path)?,
            "txnindex" => index::dump_txn_index(&path)?,
            _ => errln!("Ignoring unknown file {file}"),
        }
    }
    for complaint in complaints {
        errln!("{complaint}");
    }
    Ok(())
}

/// The offset in a file's name, such as `00000000000000000042.log`.
fn base_offset(path: &Path) -> Result<i64> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let digits = name.split('.').next().unwrap_or_default();
    match digits.parse() {
        Ok(offset) => Ok(offset),
        Err(_) => failed(format!(
            "{}: the name must begin with an offset, such as 00000000000000000000",
            path.display()
        )),
    }
}

/// The path as Java's `getAbsolutePath` gives it.
fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}
