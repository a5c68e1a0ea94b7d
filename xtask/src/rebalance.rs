//! Two consumers of one group share the partitions; one is killed -9 and the other takes over.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::batch::{NO_SEQUENCE, build};
use crate::clients::Foreign;
use crate::paths;
use crate::process::{Running, await_true, tail};
use crate::wire::Client;

const PARTITIONS: i32 = 4;
const SHARE: Duration = Duration::from_secs(40);

/// A consumer process and the file of what it tells.
struct Member {
    process: Running,
    log: PathBuf,
    kcat: bool,
}

/// The whole scene for one client library.
pub fn run(client: Foreign, bootstrap: &str) -> Result<()> {
    let topic = format!("shared-{}", client.part());
    let group = format!("group-{}", client.part());
    let mut wire = Client::connect(bootstrap)?;
    wire.create_topic(&topic, PARTITIONS, &[])?;
    let mut members =
        [member(client, bootstrap, &group, &topic, 0)?, member(client, bootstrap, &group, &topic, 1)?];
    let shared = await_true("two members that share the partitions", SHARE, || {
        alive(&mut members)?;
        let (first, second) = (members[0].assigned()?, members[1].assigned()?);
        Ok(!first.is_empty()
            && !second.is_empty()
            && first.is_disjoint(&second)
            && first.len() + second.len() == 4)
    });
    shared.with_context(|| told(&members))?;
    produce(&mut wire, &topic, "before")?;
    let all =
        await_true("all records, over both members", SHARE, || Ok(values(&members, "before")?.len() == 80));
    all.with_context(|| told(&members))?;
    for member in &members {
        ensure!(
            member.values("before")?.len() == 40,
            "two partitions each, yet {}",
            member.values("before")?.len()
        );
    }
    let [survivor, killed] = members;
    killed.process.kill()?;
    let taken =
        await_true("the survivor to take all partitions", SHARE, || Ok(survivor.assigned()?.len() == 4));
    taken.with_context(|| told(std::slice::from_ref(&survivor)))?;
    produce(&mut wire, &topic, "after")?;
    let all = await_true("all records at the survivor", SHARE, || Ok(survivor.values("after")?.len() == 80));
    all.with_context(|| told(std::slice::from_ref(&survivor)))?;
    survivor.process.kill()
}

fn member(client: Foreign, bootstrap: &str, group: &str, topic: &str, number: u8) -> Result<Member> {
    let name = format!("{}-member-{number}", client.part());
    let log = paths::logs().join(format!("{name}.log"));
    let _ = fs::remove_file(&log);
    let mut command = client.member(bootstrap, group, topic)?;
    let process = Running::start(&name, &mut command, &log)?;
    Ok(Member { process, log, kcat: client == Foreign::Kcat })
}

/// Twenty records into each partition.
fn produce(wire: &mut Client, topic: &str, word: &str) -> Result<()> {
    for partition in 0..PARTITIONS {
        let values: Vec<Vec<u8>> = (0..20).map(|i| format!("{word}-{partition}-{i}").into_bytes()).collect();
        let produced = wire.produce(topic, partition, &build(&values, 1_700_000_000_000, NO_SEQUENCE))?;
        ensure!(produced.error == 0, "Produce answered {}", produced.error);
    }
    Ok(())
}

fn alive(members: &mut [Member]) -> Result<()> {
    for member in members {
        if let Some(status) = member.process.ended()? {
            anyhow::bail!("a member ended: {status}");
        }
    }
    Ok(())
}

fn values(members: &[Member], word: &str) -> Result<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    for member in members {
        all.extend(member.values(word)?);
    }
    Ok(all)
}

fn told(members: &[Member]) -> String {
    let mut text = String::new();
    for member in members {
        text += &format!("\n{}:\n{}", member.log.display(), tail(&read(&member.log).unwrap_or_default(), 8));
    }
    text
}

fn read(log: &Path) -> Result<String> {
    Ok(String::from_utf8_lossy(&fs::read(log)?).into_owned())
}

impl Member {
    /// The partitions it was told last.
    fn assigned(&self) -> Result<BTreeSet<String>> {
        let text = read(&self.log)?;
        if self.kcat {
            return Ok(kcat_assigned(&text));
        }
        let last =
            text.lines().filter_map(|line| line.strip_prefix("assigned")).next_back().unwrap_or_default();
        Ok(last.trim().split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect())
    }

    /// The values it got that start with a word, each checked against the partition it came from.
    fn values(&self, word: &str) -> Result<BTreeSet<String>> {
        let mut offsets: BTreeMap<String, String> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for line in read(&self.log)?.lines() {
            let Some(rest) = line.strip_prefix("got ") else { continue };
            let mut words = rest.split(' ');
            let (Some(partition), Some(offset), Some(value)) = (words.next(), words.next(), words.next())
            else {
                continue; // The line is still being written.
            };
            if value.starts_with(word) && value.matches('-').count() == 2 {
                ensure!(
                    value.starts_with(&format!("{word}-{partition}-")),
                    "{value} came from partition {partition}"
                );
                seen.insert(value.to_owned());
            }
            offsets.insert(partition.to_owned(), offset.to_owned());
        }
        Ok(seen)
    }
}

/// kcat says `% Group G rebalanced (…): assigned: T [0], T [1]` or `…: revoked: …`.
fn kcat_assigned(text: &str) -> BTreeSet<String> {
    let last = text.lines().rfind(|line| line.contains("rebalanced")).unwrap_or_default();
    let Some((_, list)) = last.split_once("assigned: ") else { return BTreeSet::new() };
    list.split('[').skip(1).filter_map(|part| part.split(']').next()).map(str::to_owned).collect()
}
