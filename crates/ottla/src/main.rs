//! The one binary: `ottla server` and every tool, by subcommand or by the name of Kafka's script.

mod development;

use std::path::Path;
use std::process::ExitCode;

use ottla_server::command::{ServerOptions, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut words: Vec<String> =
        std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let program = if words.is_empty() { String::new() } else { words.remove(0) };
    let script = Path::new(&program).file_name().unwrap_or_default().to_string_lossy().into_owned();
    // A link named kafka-topics.sh is the tool itself; under its own name the first word says what to do.
    let name = if script.starts_with("kafka-") {
        ottla_tools::plain_name(&script).to_owned()
    } else if words.is_empty() {
        "help".to_owned()
    } else {
        words.remove(0)
    };
    dispatch(&name, &words)
}

fn dispatch(name: &str, args: &[String]) -> ExitCode {
    match name {
        "server" => server(args),
        "server-start" => server_start(args),
        "help" | "--help" | "-h" => {
            print!("{}", usage());
            ExitCode::SUCCESS
        }
        "--version" | "-V" | "version" => {
            println!("ottla {} (Apache Kafka {})", env!("CARGO_PKG_VERSION"), ottla_tools::KAFKA_VERSION);
            ExitCode::SUCCESS
        }
        name => match ottla_tools::run(name, args) {
            Some(0) => ExitCode::SUCCESS,
            Some(status) => ExitCode::from(u8::try_from(status).unwrap_or(1)),
            None => fail(&format!("`{name}` is not a command of ottla: `ottla help` lists them")),
        },
    }
}

fn fail(message: &str) -> ExitCode {
    eprintln!("{message}");
    ExitCode::FAILURE
}

/// `server [FILE] [--override key=value]...`
fn server(args: &[String]) -> ExitCode {
    let options = match server_options(args) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("Usage: ottla server [FILE] [--override key=value]...");
            println!("Without FILE: development mode, on 127.0.0.1:9092 with its data in ./ottla-data.");
            return ExitCode::SUCCESS;
        }
        Err(message) => return fail(&message),
    };
    let prepared = if options.file.is_none() { development::prepare(&options) } else { Ok(()) };
    match prepared.and_then(|()| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => fail(&message),
    }
}

/// `kafka-server-start.sh [-daemon] server.properties [--override key=value]...`, which needs its file.
fn server_start(args: &[String]) -> ExitCode {
    match args.first().map(String::as_str) {
        Some("--version") => dispatch("version", &[]),
        Some("-daemon") => fail(
            "-daemon is not supported: let the service manager run `ottla server FILE`, or end the line with `&`",
        ),
        Some(file) if !file.starts_with("--") => server(args),
        _ => fail("USAGE: kafka-server-start.sh [-daemon] server.properties [--override property=value]*"),
    }
}

/// The options of a server, or `None` when help is asked for.
fn server_options(args: &[String]) -> Result<Option<ServerOptions>, String> {
    let mut options = ServerOptions::default();
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let pair = match word.as_str() {
            "--help" | "-h" => return Ok(None),
            "--override" => words.next().map(String::as_str),
            word if word.starts_with("--override=") => word.strip_prefix("--override="),
            word if word.starts_with('-') => {
                return Err(format!(
                    "`{word}` is not an option of `ottla server`: there is only --override key=value"
                ));
            }
            file if options.file.is_none() => {
                options.file = Some(file.to_owned());
                continue;
            }
            file => {
                return Err(format!("only one configuration file can be given; `{file}` is one too many"));
            }
        };
        match pair.and_then(|pair| pair.split_once('=')) {
            Some((key, value)) => options.overrides.push((key.to_owned(), value.to_owned())),
            None => return Err("--override must be followed by key=value".to_owned()),
        }
    }
    Ok(Some(options))
}

fn usage() -> String {
    let mut text = String::from(
        "Usage: ottla COMMAND [OPTIONS]\n\nCommands:\n  \
         server                 run a node; without a file, one for development on 127.0.0.1:9092\n",
    );
    for (name, summary) in ottla_tools::summaries() {
        text.push_str(&format!("  {name:<22} {summary}\n"));
    }
    text.push_str("\n`ottla COMMAND --help` shows the options of a command.\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Result<Option<ServerOptions>, String> {
        server_options(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn a_server_takes_a_file_and_overrides() {
        let options = options("a.properties --override x=y=z --override=k=").unwrap().unwrap();
        assert_eq!(options.file.as_deref(), Some("a.properties"));
        assert_eq!(options.overrides, [("x".to_owned(), "y=z".to_owned()), ("k".to_owned(), String::new())]);
    }

    #[test]
    fn wrong_words_are_refused_with_a_remedy() {
        assert!(options("--override x").unwrap_err().contains("key=value"));
        assert!(options("a b").unwrap_err().contains("only one"));
        assert!(options("--port 9").unwrap_err().contains("--override"));
    }
}
