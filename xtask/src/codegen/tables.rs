//! What spans messages: module indexes, the table of APIs, unions of records, the registry.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::schema::Message;
use super::{NOTICE, snake};

/// `mod.rs` of one folder of messages.
pub fn module(module: &str, messages: &[Message]) -> String {
    let mut out = NOTICE.to_owned();
    for message in messages {
        let _ = writeln!(out, "pub mod {};", snake(&message.name));
    }
    out.push('\n');
    for message in messages {
        let _ = writeln!(out, "pub use self::{}::{};", snake(&message.name), message.name);
    }
    match module {
        "records/metadata" => union(&mut out, "MetadataRecord", "metadata record", messages, "metadata", ""),
        "records/storage" => {
            union(&mut out, "RemoteLogMetadataRecord", "remote log metadata record", messages, "metadata", "")
        }
        "records/group" => key_and_value(&mut out, "Group", messages),
        "records/transaction" => key_and_value(&mut out, "Transaction", messages),
        "records/share" => key_and_value(&mut out, "Share", messages),
        _ => {}
    }
    out
}

fn key_and_value(out: &mut String, prefix: &str, messages: &[Message]) {
    union(out, &format!("{prefix}RecordKey"), "coordinator record key", messages, "coordinator-key", "Key");
    union(
        out,
        &format!("{prefix}RecordValue"),
        "coordinator record value",
        messages,
        "coordinator-value",
        "Value",
    );
}

/// An enum over the messages of one kind, told apart by their number.
fn union(out: &mut String, name: &str, what: &str, messages: &[Message], kind: &str, suffix: &str) {
    let mut members: Vec<(&Message, i16)> =
        messages.iter().filter(|m| m.kind == kind).filter_map(|m| m.key.map(|k| (m, k))).collect();
    members.sort_by_key(|(_, key)| *key);
    let variant = |m: &Message| m.name.strip_suffix(suffix).unwrap_or(&m.name).to_owned();
    let _ = writeln!(
        out,
        "\nuse bytes::Bytes;\nuse crate::codec::{{DecodeError, EncodeError, Message, Reader, Writer}};\n\n\
         /// Every {what}, told apart by its number.\n#[derive(Debug, Clone, PartialEq)]\npub enum {name} {{"
    );
    for (m, _) in &members {
        let _ = writeln!(out, "{}({}),", variant(m), m.name);
    }
    let arms = |body: &dyn Fn(&Message, i16) -> String| {
        members.iter().map(|(m, key)| body(m, *key) + "\n").collect::<String>()
    };
    let _ = writeln!(
        out,
        "}}\n\nimpl {name} {{\n\
         /// The number that tells the kind.\npub fn api_key(&self) -> i16 {{ match self {{ {} }} }}\n\n\
         /// Kafka's name of the kind.\npub fn name(&self) -> &'static str {{ match self {{ {} }} }}\n\n\
         /// The newest version of the kind.\npub fn highest_version(&self) -> i16 {{ match self {{ {} }} }}\n\n\
         /// Reads a message of the kind with this number.\n\
         pub fn decode(api_key: i16, version: i16, r: &mut Reader) -> Result<Self, DecodeError> {{ match api_key {{ {} \
         _ => Err(DecodeError::UnknownKind {{ what: \"{what}\", number: api_key.into() }}), }} }}\n\n\
         /// Writes the message, without its number.\n\
         pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {{ match self {{ {} }} }}\n}}\n",
        arms(&|m, key| format!("Self::{}(_) => {key},", variant(m))),
        arms(&|m, _| format!("Self::{}(_) => {}::NAME,", variant(m), m.name)),
        arms(&|m, _| format!("Self::{}(_) => {}::MAX_VERSION,", variant(m), m.name)),
        arms(&|m, key| format!("{key} => {}::decode(r, version).map(Self::{}),", m.name, variant(m))),
        arms(&|m, _| format!("Self::{}(m) => m.encode(w, version),", variant(m))),
    );
    for (m, _) in &members {
        let _ = writeln!(
            out,
            "impl From<{0}> for {name} {{ fn from(m: {0}) -> Self {{ Self::{1}(m) }} }}\n",
            m.name,
            variant(m)
        );
    }
    // The imports of two unions in one module must not clash.
    if let Some(second) = out.rfind("\nuse bytes::Bytes;\n") {
        let first = out.find("\nuse bytes::Bytes;\n");
        if first != Some(second) {
            let imports = "\nuse bytes::Bytes;\nuse crate::codec::{DecodeError, EncodeError, Message, Reader, Writer};\n";
            out.replace_range(second..second + imports.len(), "");
        }
    }
}

/// Index of the record modules.
pub fn records_index<'a>(modules: impl Iterator<Item = &'a String>) -> String {
    let mut out = NOTICE.to_owned();
    for module in modules {
        if let Some(name) = module.strip_prefix("records/") {
            let _ = writeln!(out, "pub mod {name};");
        }
    }
    out
}

/// The tie between a request and its response.
pub fn request_impl(message: &Message) -> String {
    match (message.kind.as_str(), message.name.strip_suffix("Request")) {
        ("request", Some(api)) => format!(
            "impl Request for {0} {{\nconst API_KEY: ApiKey = ApiKey::{api};\ntype Response = crate::messages::{api}Response;\n}}\n\n",
            message.name
        ),
        _ => String::new(),
    }
}

/// `api_keys.rs`: one row an API.
pub fn api_keys(messages: &[Message]) -> String {
    let mut requests: Vec<&Message> = messages.iter().filter(|m| m.kind == "request").collect();
    requests.sort_by_key(|m| m.key);
    let api = |m: &Message| m.name.trim_end_matches("Request").to_owned();
    let mut out = NOTICE.to_owned();
    out.push_str("/// Kafka's APIs.\n#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]\n#[repr(i16)]\npub enum ApiKey {\n");
    for m in &requests {
        let _ = writeln!(out, "{} = {},", api(m), m.key.unwrap_or(-1));
    }
    let arms = |body: &dyn Fn(&Message) -> String| {
        requests.iter().map(|m| format!("Self::{} => {},\n", api(m), body(m))).collect::<String>()
    };
    let has = |m: &Message, listener: &str| m.listeners.iter().any(|l| l == listener).to_string();
    let _ = writeln!(
        out,
        "}}\n\nimpl ApiKey {{\n/// Every API, by number.\npub const ALL: &[Self] = &[{}];\n\n\
         /// The API with this number.\npub fn from_i16(key: i16) -> Option<Self> {{ match key {{ {} _ => None }} }}\n\n\
         /// Kafka's name.\npub const fn name(self) -> &'static str {{ match self {{ {} }} }}\n\n\
         /// The oldest version with a schema.\npub const fn min_version(self) -> i16 {{ match self {{ {} }} }}\n\n\
         /// The newest version with a schema.\npub const fn max_version(self) -> i16 {{ match self {{ {} }} }}\n\n\
         /// Whether the newest version is still being worked on.\n\
         pub const fn latest_version_unstable(self) -> bool {{ match self {{ {} }} }}\n\n\
         /// The first version with compact lengths (KIP-482); `i16::MAX` for none.\n\
         pub const fn first_flexible_version(self) -> i16 {{ match self {{ {} }} }}\n\n\
         /// Whether brokers serve it.\npub const fn on_broker(self) -> bool {{ match self {{ {} }} }}\n\n\
         /// Whether controllers serve it.\npub const fn on_controller(self) -> bool {{ match self {{ {} }} }}\n}}\n",
        requests.iter().map(|m| format!("Self::{},", api(m))).collect::<String>(),
        requests
            .iter()
            .map(|m| format!("{} => Some(Self::{}),\n", m.key.unwrap_or(-1), api(m)))
            .collect::<String>(),
        arms(&|m| format!("\"{}\"", api(m))),
        arms(&|m| m.valid.low.to_string()),
        arms(&|m| m.valid.high.to_string()),
        arms(&|m| m.latest_unstable.to_string()),
        arms(&|m| {
            let flexible = m.flexible.and(m.valid);
            if flexible.is_empty() { "i16::MAX".into() } else { m.flexible.low.to_string() }
        }),
        arms(&|m| has(m, "broker")),
        arms(&|m| has(m, "controller")),
    );
    out
}

/// `registry.rs`: every message by name, for tools and tests that work on all of them.
pub fn registry(modules: &BTreeMap<String, Vec<Message>>) -> String {
    let mut out = NOTICE.to_owned();
    out.push_str(
        "//! Every message by name, for tools and tests that work on all of them.\n\n\
         use bytes::Bytes;\n\nuse crate::codec::{DecodeError, EncodeError, Message};\n\n\
         /// What is known of one message.\n#[derive(Debug, Clone, Copy)]\npub struct MessageInfo {\n\
         /// Kafka's name.\npub name: &'static str,\n/// `request`, `response`, `header`, `data`, `metadata`, `coordinator-key` or `coordinator-value`.\npub kind: &'static str,\n\
         /// Number of the API or the record, where it has one.\npub key: Option<i16>,\n/// Oldest version.\npub min_version: i16,\n/// Newest version.\npub max_version: i16,\n\
         /// Decodes a whole buffer and encodes the result again.\npub round_trip: fn(Bytes, i16) -> Result<Result<Bytes, EncodeError>, DecodeError>,\n\
         /// The bytes of a message with arbitrary contents, the same for the same seed.\n#[cfg(feature = \"test-util\")]\npub sample: fn(u64, i16) -> Result<Bytes, EncodeError>,\n}\n\n\
         fn round_trip<M: Message>(bytes: Bytes, version: i16) -> Result<Result<Bytes, EncodeError>, DecodeError> {\nM::from_bytes(bytes, version).map(|m| m.to_bytes(version))\n}\n\n\
         #[cfg(feature = \"test-util\")]\nfn sample<M: Message>(seed: u64, version: i16) -> Result<Bytes, EncodeError> {\nM::sample(&mut crate::sample::Sampler::new(seed), version).to_bytes(version)\n}\n\n\
         const fn info<M: Message>(kind: &'static str, key: Option<i16>) -> MessageInfo {\nMessageInfo { name: M::NAME, kind, key, min_version: M::MIN_VERSION, max_version: M::MAX_VERSION, round_trip: round_trip::<M>,\n#[cfg(feature = \"test-util\")]\nsample: sample::<M> }\n}\n\n\
         /// Every message that Kafka encodes.\npub static MESSAGES: &[MessageInfo] = &[\n",
    );
    for (module, messages) in modules {
        for m in messages {
            let _ = writeln!(
                out,
                "info::<crate::{}::{}>(\"{}\", {:?}),",
                module.replace('/', "::"),
                m.name,
                m.kind,
                m.key
            );
        }
    }
    out.push_str("];\n");
    out.replacen(NOTICE, "", 1)
}
