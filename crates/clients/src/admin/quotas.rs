use std::collections::BTreeMap;

use ottla_protocol::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use ottla_protocol::messages::describe_client_quotas_request::ComponentData;
use ottla_protocol::messages::{AlterClientQuotasRequest, DescribeClientQuotasRequest};

use super::Admin;
use crate::ClientError;

/// Whom quotas belong to: names by type (`user`, `client-id`, `ip`); no name means the default.
pub type QuotaEntity = BTreeMap<String, Option<String>>;

/// Limits by key, such as `producer_byte_rate`.
pub type ClientQuotas = BTreeMap<String, f64>;

/// Which entities of a type are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuotaMatch {
    /// The one of this name.
    Exact(String),
    /// The default.
    Default,
    /// Those with a name and the default.
    Any,
}

impl Admin {
    /// The quotas of entities that have exactly these types (KIP-546), sorted.
    pub async fn describe_client_quotas(
        &self,
        wanted: &[(&str, QuotaMatch)],
    ) -> Result<Vec<(QuotaEntity, ClientQuotas)>, ClientError> {
        let component = |(kind, matching): &(&str, QuotaMatch)| {
            let (match_type, name) = match matching {
                QuotaMatch::Exact(name) => (0, Some(name.as_str().into())),
                QuotaMatch::Default => (1, None),
                QuotaMatch::Any => (2, None),
            };
            ComponentData { entity_type: (*kind).into(), match_type, match_: name, ..Default::default() }
        };
        let request = DescribeClientQuotasRequest {
            components: wanted.iter().map(component).collect(),
            strict: true,
            ..DescribeClientQuotasRequest::default()
        };
        let response = self.client.send_any(&request).await?;
        ClientError::check("quotas", response.error_code, response.error_message.as_deref())?;
        let mut found = Vec::new();
        for entry in response.entries.unwrap_or_default() {
            let parts = entry.entity.iter();
            let entity: QuotaEntity = parts
                .map(|e| (e.entity_type.to_string(), e.entity_name.as_ref().map(ToString::to_string)))
                .collect();
            let quotas = entry.values.iter().map(|value| (value.key.to_string(), value.value)).collect();
            found.push((entity, quotas));
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }

    /// Sets limits of one entity, and takes away those without a value.
    pub async fn alter_client_quotas(
        &self,
        entity: &QuotaEntity,
        changes: &BTreeMap<String, Option<f64>>,
    ) -> Result<(), ClientError> {
        let part = |(kind, name): (&String, &Option<String>)| EntityData {
            entity_type: kind.as_str().into(),
            entity_name: name.as_deref().map(Into::into),
            ..Default::default()
        };
        let op = |(key, value): (&String, &Option<f64>)| OpData {
            key: key.as_str().into(),
            value: value.unwrap_or_default(),
            remove: value.is_none(),
            ..Default::default()
        };
        let entry = EntryData {
            entity: entity.iter().map(part).collect(),
            ops: changes.iter().map(op).collect(),
            ..Default::default()
        };
        let request = AlterClientQuotasRequest { entries: vec![entry], ..Default::default() };
        let response = self.client.send_any(&request).await?;
        response.entries.iter().try_for_each(|entry| {
            ClientError::check("quotas", entry.error_code, entry.error_message.as_deref())
        })
    }
}
