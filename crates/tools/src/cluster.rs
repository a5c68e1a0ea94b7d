//! A cluster as a tool sees it: an [`Admin`] that the tool waits for.

use std::cell::Cell;

use ottla_clients::admin::{Admin, Outcomes};
use ottla_clients::{ClientConfig, ClientError, Node};
use tokio::runtime::{Builder, Runtime};

use crate::client_config::read_properties;
use crate::error::{Result, ToolError, failed};
use crate::options::Options;
use crate::output::errln;

/// What a cluster answers.
pub(crate) type Answer<T> = std::result::Result<T, ClientError>;

/// Connections to a cluster, and the one thread that they live on.
#[derive(Debug)]
pub(crate) struct Cluster {
    runtime: Runtime,
    pub(crate) admin: Admin,
}

impl Cluster {
    /// Connects to the `--bootstrap-server` or `--bootstrap-controller` of a tool.
    pub(crate) fn from_options(options: &Options) -> Result<Self> {
        let config = ClientConfig::from_iter(read_properties(options.one("command-config")?)?);
        match (options.one("bootstrap-server")?, options.one("bootstrap-controller")?) {
            (Some(_), Some(_)) => {
                failed("You cannot specify both --bootstrap-controller and --bootstrap-server.")
            }
            (Some(servers), None) => Self::connect(config.with("bootstrap.servers", servers)),
            (None, Some(servers)) => Self::connect(config.with("bootstrap.controllers", servers)),
            (None, None) => failed("You must specify either --bootstrap-controller or --bootstrap-server."),
        }
    }

    /// Connects to the first bootstrap address that answers, for as long as `default.api.timeout.ms` says.
    pub(crate) fn connect(mut config: ClientConfig) -> Result<Self> {
        config.set_default("client.id", "adminclient-1");
        let admin = Admin::new(&config).map_err(refusal)?;
        let cluster = Self { runtime: Builder::new_current_thread().enable_all().build()?, admin };
        let client = cluster.admin.client();
        let silent = Cell::new(true);
        let warn = |error: &ClientError| {
            if let ClientError::Connect { address, reason } = error
                && silent.replace(false)
            {
                let seconds = client.settings().api_timeout.as_secs();
                errln!("Cannot reach the cluster yet ({address}: {reason}); trying for {seconds} s.");
            }
        };
        let greet = || async { client.refresh_brokers().await.inspect_err(warn) };
        cluster.wait(client.retrying("Metadata", greet))?;
        Ok(cluster)
    }

    /// The brokers, by id.
    pub(crate) fn nodes(&self) -> Vec<Node> {
        self.admin.client().metadata().brokers.values().cloned().collect()
    }

    /// Waits for an answer.
    pub(crate) fn wait<T>(&self, asked: impl Future<Output = Answer<T>>) -> Result<T> {
        self.answer(asked).map_err(refusal)
    }

    /// The same, for those who care why the cluster said no.
    pub(crate) fn answer<T>(&self, asked: impl Future<Output = Answer<T>>) -> Answer<T> {
        self.runtime.block_on(asked)
    }

    /// Waits for outcomes, the first refusal of which fails the tool.
    pub(crate) fn wait_all<K, V>(
        &self,
        asked: impl Future<Output = Answer<Outcomes<K, V>>>,
    ) -> Result<Vec<(K, V)>> {
        let outcomes = self.wait(asked)?.into_iter();
        outcomes.map(|(key, outcome)| Ok((key, outcome.map_err(refusal)?))).collect()
    }
}

/// What a cluster said no with, in Kafka's words.
pub(crate) fn refusal(error: ClientError) -> ToolError {
    ToolError::Failed(match error {
        ClientError::Api { message, .. } => message,
        ClientError::UnsupportedVersion { api, .. } => format!("The node does not support {}", api.name()),
        ClientError::Timeout { what, cause, .. } => {
            format!("Timed out waiting for a node assignment. Call: {what} ({cause})")
        }
        ClientError::Config { key, value, .. } if key.starts_with("bootstrap.") => {
            format!("Invalid url in {key}: {value}")
        }
        error => error.to_string(),
    })
}
