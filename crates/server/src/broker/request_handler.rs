//! From the socket server to the table of APIs.

use std::sync::Arc;

use bytes::Bytes;
use ottla_apis::{BrokerContext, Call, Outcome};
use ottla_network::{ConnectionInfo, HandlerResult, RequestContext, RequestHandler, Response};
use tracing::info;

use super::log_tasks::LogWatch;

/// Serves the requests of clients and brokers.
#[derive(Debug)]
pub struct BrokerRequestHandler {
    /// What requests are served from.
    pub context: Arc<BrokerContext>,
    /// Who keeps house behind requests.
    pub logs: LogWatch,
}

impl RequestHandler for BrokerRequestHandler {
    async fn handle(&self, ctx: RequestContext, body: Bytes) -> HandlerResult {
        self.logs.note();
        let call = Call {
            version: ctx.api_version,
            listener: ctx.connection.listener.clone(),
            connection_id: ctx.connection.id.clone(),
            client_id: Some(ctx.client_id.clone()),
            client_host: ctx.connection.client_host.clone(),
        };
        match ottla_apis::serve(self.context.clone(), ctx.api_key, call, ctx.correlation_id, body).await {
            Outcome::Response(parts) => Response::from_parts(parts).into(),
            Outcome::NoResponse => HandlerResult::NO_RESPONSE,
            Outcome::Close(reason) => {
                info!(logger = "kafka.network.SocketServer", "Closing the connection of {ctx}: {reason}");
                HandlerResult::Close
            }
        }
    }

    fn on_disconnect(&self, connection: &ConnectionInfo) {
        self.context.share.disconnect(&connection.id);
    }

    fn is_api_enabled(&self, _: &str, api_key: ottla_protocol::ApiKey, version: i16) -> bool {
        ottla_apis::table::is_served(&self.context, api_key, version)
    }
}
