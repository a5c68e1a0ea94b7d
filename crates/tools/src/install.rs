//! `install-tools`: the names that scripts call, all leading to this binary.

use std::path::Path;

use crate::error::{Result, failed, usage};
use crate::output::outln;

/// Commands of the binary that have a script of their own but are no tools of this crate.
const OTHERS: &[&str] = &["server-start"];

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> Result {
    let [dir] = args else {
        return usage("install-tools needs one argument, the directory for the links: install-tools DIR");
    };
    if dir.starts_with('-') {
        return usage(
            "install-tools DIR: links kafka-topics.sh, kafka-topics and the rest in DIR to this binary",
        );
    }
    let dir = Path::new(dir);
    let binary = std::env::current_exe()?;
    if let Err(error) = std::fs::create_dir_all(dir) {
        return failed(format!("cannot make {}: {error}", dir.display()));
    }
    let tools = crate::TOOLS.iter().map(|tool| tool.name).filter(|name| *name != "install-tools");
    let mut count = 0;
    for name in tools.chain(OTHERS.iter().copied()) {
        for link in [format!("kafka-{name}.sh"), format!("kafka-{name}")] {
            place(&binary, &dir.join(link))?;
            count += 1;
        }
    }
    outln!("Linked {count} names in {} to {}.", dir.display(), binary.display());
    Ok(())
}

/// Replaces an older link, but nobody's own file.
fn place(binary: &Path, link: &Path) -> Result {
    match std::fs::symlink_metadata(link) {
        Ok(found) if found.is_symlink() => std::fs::remove_file(link)?,
        Ok(_) => return failed(format!("{} is in the way: move it, then try again", link.display())),
        Err(_) => {}
    }
    #[cfg(unix)]
    let placed = std::os::unix::fs::symlink(binary, link);
    #[cfg(not(unix))]
    let placed = std::fs::copy(binary, link).map(drop);
    match placed {
        Ok(()) => Ok(()),
        Err(error) => failed(format!("cannot link {}: {error}", link.display())),
    }
}
