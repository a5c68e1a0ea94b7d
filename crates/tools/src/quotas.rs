//! Quotas of users, clients and addresses: the part of `configs` that is no configuration to the brokers.

use std::collections::BTreeMap;

use ottla_common::config::java_double;
use ottla_protocol::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use ottla_protocol::messages::describe_client_quotas_request::ComponentData;
use ottla_protocol::messages::{AlterClientQuotasRequest, DescribeClientQuotasRequest};

use crate::cluster::{Cluster, check};
use crate::configs::{Changes, Entity};
use crate::error::{Result, failed};
use crate::output::outln;

const USER_AND_CLIENT_KEYS: &[&str] =
    &["producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate"];
const IP_KEYS: &[&str] = &["connection_creation_rate"];

fn wire_type(kind: &str) -> &'static str {
    match kind {
        "users" => "user",
        "clients" => "client-id",
        _ => "ip",
    }
}

/// The entities of a filter with their limits, sorted by name.
type Quotas = Vec<(BTreeMap<String, Option<String>>, BTreeMap<String, f64>)>;

fn quotas(cluster: &mut Cluster, entity: &Entity) -> Result<Quotas> {
    const EXACT: i8 = 0;
    const DEFAULT: i8 = 1;
    const ANY: i8 = 2;
    if entity.names.len() > entity.types.len() {
        return failed("More entity names specified than entity types");
    }
    let component = |(i, kind): (usize, &String)| {
        let (match_type, name) = match entity.names.get(i).map(String::as_str) {
            None => (ANY, None),
            Some("") => (DEFAULT, None),
            Some(name) => (EXACT, Some(name.into())),
        };
        ComponentData {
            entity_type: wire_type(kind).into(),
            match_type,
            match_: name,
            ..ComponentData::default()
        }
    };
    let request = DescribeClientQuotasRequest {
        components: entity.types.iter().enumerate().map(component).collect(),
        strict: true,
        ..DescribeClientQuotasRequest::default()
    };
    let response = cluster.any(&request)?;
    check(response.error_code, response.error_message.as_ref())?;
    let text = |name: &bytestring::ByteString| name.to_string();
    let mut found = Quotas::new();
    for entry in response.entries.unwrap_or_default() {
        let who =
            entry.entity.iter().map(|e| (text(&e.entity_type), e.entity_name.as_ref().map(text))).collect();
        let limits = entry.values.iter().map(|value| (text(&value.key), value.value)).collect();
        found.push((who, limits));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}

/// Shows limits, one line for each user, client or address.
pub(crate) fn describe(cluster: &mut Cluster, entity: &Entity) -> Result {
    for (who, limits) in quotas(cluster, entity)? {
        let part = |(kind, label): (&str, &str)| {
            who.get(kind).map(|name| match name.as_deref() {
                None | Some("") => format!("the default {label}"),
                Some(name) => format!("{label} '{name}'"),
            })
        };
        let labels = [("user", "user-principal"), ("client-id", "client-id"), ("ip", "ip")];
        let who: Vec<_> = labels.into_iter().filter_map(part).collect();
        let limits: Vec<_> =
            limits.iter().map(|(key, value)| format!("{key}={}", java_double(*value))).collect();
        outln!("Quota configs for {} are {}", who.join(", "), limits.join(", "));
    }
    Ok(())
}

/// Sets and removes limits.
pub(crate) fn alter(cluster: &mut Cluster, entity: &Entity, changes: &Changes) -> Result {
    let is_ip = entity.types == ["ips"];
    let allowed = if is_ip { IP_KEYS } else { USER_AND_CLIENT_KEYS };
    let keys = changes.add.keys().chain(&changes.delete);
    let unknown: Vec<_> = keys.filter(|key| !allowed.contains(&key.as_str())).map(String::as_str).collect();
    if unknown.iter().any(|key| key.starts_with("SCRAM-")) {
        return failed("SCRAM credentials are not supported yet.");
    }
    if !unknown.is_empty() {
        let kind = if is_ip { "connection quota" } else { "quota" };
        return failed(format!(
            "Only {kind} configs can be added for '{}' using --bootstrap-server. Unexpected config names: {}",
            entity.types.join(","),
            unknown.join(",")
        ));
    }
    let current = quotas(cluster, entity)?.into_iter().next().map(|(_, limits)| limits).unwrap_or_default();
    let missing: Vec<_> = changes.delete.iter().filter(|key| !current.contains_key(*key)).cloned().collect();
    if !missing.is_empty() {
        return failed(format!("Invalid config(s): {}", missing.join(",")));
    }
    let mut ops = Vec::new();
    for (key, text) in &changes.add {
        match text.parse() {
            Ok(value) => ops.push(OpData { key: key.as_str().into(), value, ..OpData::default() }),
            Err(_) => return failed(format!("Cannot parse quota configuration value for {key}: {text}")),
        }
    }
    let remove = |key: &String| OpData { key: key.as_str().into(), remove: true, ..OpData::default() };
    ops.extend(changes.delete.iter().map(remove));
    let who = |(kind, name): (&String, &String)| EntityData {
        entity_type: wire_type(kind).into(),
        entity_name: (!name.is_empty()).then(|| name.as_str().into()),
        ..EntityData::default()
    };
    let entry = EntryData {
        entity: entity.types.iter().zip(&entity.names).map(who).collect(),
        ops,
        ..EntryData::default()
    };
    let request = AlterClientQuotasRequest { entries: vec![entry], ..AlterClientQuotasRequest::default() };
    let response = cluster.any(&request)?;
    response.entries.iter().try_for_each(|entry| check(entry.error_code, entry.error_message.as_ref()))
}
