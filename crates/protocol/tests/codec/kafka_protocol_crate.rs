//! An independent codec as oracle: what we write, the `kafka-protocol` crate reads, and writes the same.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey as TheirApiKey, RequestKind, ResponseKind};
use ottla_protocol::registry::MessageInfo;

use crate::round_trip::every_message_and_version;

const SEEDS: u64 = 12;

/// Their bytes for ours, or why there are none.
fn translate(message: &MessageInfo, api: TheirApiKey, version: i16, ours: &Bytes) -> Result<Bytes, String> {
    let mut rest = ours.clone();
    let mut theirs = BytesMut::new();
    let told = |error: &dyn std::fmt::Display| format!("{} v{version}: {error:#}", message.name);
    match message.kind {
        "request" => RequestKind::decode(api, &mut rest, version)
            .and_then(|request| request.encode(&mut theirs, version))
            .map_err(|error| told(&error))?,
        _ => ResponseKind::decode(api, &mut rest, version)
            .and_then(|response| response.encode(&mut theirs, version))
            .map_err(|error| told(&error))?,
    }
    if rest.is_empty() { Ok(theirs.freeze()) } else { Err(told(&"bytes are left")) }
}

#[test]
fn an_independent_codec_agrees() {
    let mut compared = std::collections::BTreeSet::new();
    let mut differences = Vec::new();
    for (message, version) in every_message_and_version() {
        let Some(api) = message.key.filter(|_| matches!(message.kind, "request" | "response")) else {
            continue;
        };
        let Ok(api) = TheirApiKey::try_from(api) else { continue };
        let versions = api.valid_versions();
        if version < versions.min || version > versions.max {
            continue;
        }
        for seed in 0..SEEDS {
            let ours = (message.sample)(seed, version).expect("samples can be encoded");
            match translate(message, api, version, &ours) {
                Ok(theirs) if theirs == ours => {}
                Ok(theirs) => {
                    differences.push(format!("{} v{version}:\n  {ours:?}\n  {theirs:?}", message.name))
                }
                // Its table of versions names some that its messages do not have.
                Err(error) if error.ends_with("version not supported by this message type") => continue,
                Err(error) => differences.push(error),
            }
            compared.insert((message.name, version));
        }
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
    assert!(compared.len() > 550, "only {} messages and versions were compared", compared.len());
}
