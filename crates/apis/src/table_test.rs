use std::fmt::Write as _;
use std::path::Path;

use ottla_protocol::ApiKey;

use super::API_TABLE;

#[test]
fn the_table_is_sorted_and_for_brokers() {
    assert!(API_TABLE.windows(2).all(|w| w[0].key < w[1].key));
    assert!(API_TABLE.iter().all(|e| e.key.on_broker()));
}

/// `OTTLA_UPDATE=1 cargo test -p ottla-apis` writes the page anew.
#[test]
fn the_compatibility_page_says_what_the_table_says() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/compatibility.md");
    let wanted = compatibility_page();
    if std::env::var_os("OTTLA_UPDATE").is_some() {
        std::fs::write(&page, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(&page).unwrap();
    assert!(found == wanted, "docs/compatibility.md is stale: OTTLA_UPDATE=1 cargo test -p ottla-apis");
}

fn compatibility_page() -> String {
    let brokers: Vec<_> = ApiKey::ALL.iter().filter(|key| key.on_broker()).collect();
    let served = |key: &ApiKey| API_TABLE.iter().any(|e| e.key == *key);
    let count = brokers.iter().filter(|key| served(key)).count();
    let mut page = format!(
        "# Which APIs a broker serves\n\n\
         Generated from the table that answers ApiVersions (`crates/apis/src/table.rs`); a test keeps it fresh.\n\
         Of the {} APIs of an Apache Kafka 4.4 broker, {count} are served, each in every version that 4.4 serves.\n\n\
         | key | API | versions of Kafka 4.4 | Ottla |\n|--:|---|---|---|\n",
        brokers.len()
    );
    for key in brokers {
        let (min, max) = (key.min_version(), key.latest_stable_version());
        let range = if min == max { min.to_string() } else { format!("{min}-{max}") };
        let ours = if served(key) { range.as_str() } else { "not yet" };
        writeln!(page, "| {} | {} | {range} | {ours} |", *key as i16, key.name()).unwrap();
    }
    page
}
