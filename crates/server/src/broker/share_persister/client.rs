//! The task around a [`StateSender`]: it has the clock, the channel, and those who wait.

use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ottla_common::time::Time;
use ottla_common::{ErrorCode, Uuid};
use ottla_coordinator::share_state::SharePartitionKey;
use ottla_protocol::Request;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{Id, JoinError, JoinSet};
use tracing::error;

use super::LOGGER;
use super::api::StateApi;
use super::sender::{OperationId, Route, StateSender};

/// The way to share coordinators.
pub trait StateChannel: Debug + Send + Sync + 'static {
    /// The broker that coordinates a share-partition. If the coordinators' topic is not there yet, it is made.
    fn coordinator_of(&self, key: &SharePartitionKey) -> Option<i32>;

    /// Asks a broker. An error says why there is no answer.
    fn send<Q: Request>(
        &self,
        node_id: i32,
        request: Q,
    ) -> impl Future<Output = Result<Q::Response, ErrorCode>> + Send;
}

/// Something asked, on its way to the task.
#[derive(Debug)]
struct Question<A: StateApi> {
    key: SharePartitionKey,
    data: A::Data,
    answer: oneshot::Sender<A::Result>,
}

/// Asks share coordinators by one kind of request. The task behind it ends when this is dropped.
#[derive(Debug)]
pub(super) struct StateClient<A: StateApi> {
    /// As many as there are share-partitions with something to say: each waits for its answer.
    questions: mpsc::UnboundedSender<Question<A>>,
}

impl<A: StateApi> StateClient<A> {
    /// A client whose task runs on `runtime`.
    pub(super) fn start<C: StateChannel>(channel: Arc<C>, time: Arc<dyn Time>, runtime: &Handle) -> Self {
        let (sender, questions) = mpsc::unbounded_channel();
        let task = ClientTask::<A, C> {
            channel,
            time,
            sender: StateSender::new(rand::random()),
            waiting: HashMap::new(),
            calls: JoinSet::new(),
            routes: HashMap::new(),
        };
        runtime.spawn(task.run(questions));
        Self { questions: sender }
    }

    /// Asks something of a share-partition. It is under way when this returns; the answer is in the future.
    pub(super) fn ask(
        &self,
        key: SharePartitionKey,
        data: A::Data,
    ) -> impl Future<Output = A::Result> + Send + use<A> {
        let partition = key.partition;
        let (answer, receiver) = oneshot::channel();
        // If the task is gone, so is the sender of the answer.
        let _ = self.questions.send(Question { key, data, answer });
        async move {
            let stopped = |_| A::refused(partition, ErrorCode::CoordinatorNotAvailable, "This broker stops.");
            receiver.await.unwrap_or_else(stopped)
        }
    }

    /// Asks something of many share-partitions at once. The answers come in their order.
    pub(super) async fn ask_all(&self, parts: Vec<(SharePartitionKey, A::Data)>) -> Vec<(Uuid, A::Result)> {
        let asked: Vec<_> =
            parts.into_iter().map(|(key, data)| (key.topic_id, self.ask(key, data))).collect();
        let mut results = Vec::with_capacity(asked.len());
        for (topic_id, answer) in asked {
            results.push((topic_id, answer.await));
        }
        results
    }
}

type Response<A> = <<A as StateApi>::Request as Request>::Response;
type Answered<A> = Result<Response<A>, ErrorCode>;

struct ClientTask<A: StateApi, C> {
    channel: Arc<C>,
    time: Arc<dyn Time>,
    sender: StateSender<A>,
    waiting: HashMap<OperationId, oneshot::Sender<A::Result>>,
    calls: JoinSet<Answered<A>>,
    routes: HashMap<Id, Route>,
}

impl<A: StateApi, C: StateChannel> ClientTask<A, C> {
    async fn run(mut self, mut questions: mpsc::UnboundedReceiver<Question<A>>) {
        loop {
            // All that is there already goes together.
            while let Ok(question) = questions.try_recv() {
                self.add(question);
            }
            self.make_calls();
            self.hand_out_answers();
            let sleep = self.until_next_deadline();
            tokio::select! {
                question = questions.recv() => match question {
                    Some(question) => self.add(question),
                    None => return,
                },
                Some(finished) = self.calls.join_next_with_id() => self.on_finished(finished),
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }

    /// Not the wall clock: nobody's pause gets longer because that is set back.
    fn now_ms(&self) -> i64 {
        self.time.monotonic_ns() / 1_000_000
    }

    fn until_next_deadline(&self) -> Duration {
        let wait_ms = self.sender.next_deadline().map_or(60_000, |deadline_ms| deadline_ms - self.now_ms());
        Duration::from_millis(wait_ms.clamp(1, 60_000).unsigned_abs())
    }

    fn add(&mut self, question: Question<A>) {
        let Question { key, data, answer } = question;
        let id = self.sender.add(key, data);
        self.waiting.insert(id, answer);
    }

    fn make_calls(&mut self) {
        let now_ms = self.now_ms();
        let channel = &self.channel;
        for call in self.sender.poll(now_ms, |key| channel.coordinator_of(key)) {
            let (channel, node_id, request) = (Arc::clone(channel), call.route.node_id, call.request);
            let task = self.calls.spawn(async move { channel.send(node_id, request).await });
            self.routes.insert(task.id(), call.route);
        }
    }

    fn on_finished(&mut self, finished: Result<(Id, Answered<A>), JoinError>) {
        let (id, answered) = match finished {
            Ok(finished) => finished,
            Err(failed) => {
                error!(target: LOGGER, "A call of a share coordinator failed: {failed}");
                (failed.id(), Err(ErrorCode::UnknownServerError))
            }
        };
        let now_ms = self.now_ms();
        if let Some(route) = self.routes.remove(&id) {
            self.sender.on_response(now_ms, &route, answered);
        }
    }

    fn hand_out_answers(&mut self) {
        for (id, result) in self.sender.take_answers() {
            if let Some(answer) = self.waiting.remove(&id) {
                // Whoever asked may not wait any more.
                let _ = answer.send(result);
            }
        }
    }
}
