//! Answers that only depend on the metadata, encoded once per change of it.
//!
//! Clients ask for the same topics again and again. What they get is a function of the image, the
//! listener and the request's bytes, so the encoded answer to the same bytes is kept until the brokers,
//! topics or partitions change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// Answers are forgotten when they are more than this together.
const BYTES_MAX: usize = 4 << 20;
/// A longer request is not looked for: to find it, all of it would be hashed while others wait.
const QUESTION_BYTES_MAX: usize = 64 << 10;

/// Encoded answers to Metadata.
#[derive(Debug, Default)]
pub struct ResponseCache {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    generation: u64,
    answers: HashMap<Question, Bytes>,
    bytes: usize,
}

/// What is asked, in which version, on which listener.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    /// Version of the request.
    pub version: i16,
    /// The listener, whose endpoints are told.
    pub listener: Arc<str>,
    /// The request's body.
    pub body: Bytes,
}

impl ResponseCache {
    /// The answer, or the generation with which to bring one.
    pub fn get(&self, question: &Question) -> Result<Bytes, u64> {
        let state = self.lock();
        if question.body.len() > QUESTION_BYTES_MAX {
            return Err(state.generation);
        }
        state.answers.get(question).cloned().ok_or(state.generation)
    }

    /// Keeps an answer, unless the metadata has changed since it was begun.
    pub fn put(&self, generation: u64, question: Question, answer: Bytes) {
        let size = question.body.len() + answer.len();
        let mut state = self.lock();
        let too_large = question.body.len() > QUESTION_BYTES_MAX || size > BYTES_MAX / 4;
        if state.generation != generation || too_large {
            return;
        }
        if state.bytes + size > BYTES_MAX {
            state.forget();
        }
        let asked = question.body.len();
        state.bytes += size;
        if let Some(old) = state.answers.insert(question, answer) {
            state.bytes -= asked + old.len();
        }
    }

    /// Brokers, topics or partitions have changed.
    pub fn invalidate(&self) {
        let mut state = self.lock();
        state.generation += 1;
        state.forget();
    }

    /// A poisoned lock means a request panicked; an entry is put whole or not at all.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget(&mut self) {
        self.answers = HashMap::new();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(body: &'static [u8]) -> Question {
        Question { version: 12, listener: "PLAINTEXT".into(), body: Bytes::from_static(body) }
    }

    #[test]
    fn an_answer_lives_until_the_next_change() {
        let cache = ResponseCache::default();
        let generation = cache.get(&question(b"a")).unwrap_err();
        cache.put(generation, question(b"a"), Bytes::from_static(b"answer"));
        assert_eq!(cache.get(&question(b"a")), Ok(Bytes::from_static(b"answer")));
        cache.invalidate();
        assert!(cache.get(&question(b"a")).is_err());
    }

    #[test]
    fn an_answer_begun_before_a_change_is_not_kept() {
        let cache = ResponseCache::default();
        let generation = cache.get(&question(b"a")).unwrap_err();
        cache.invalidate();
        cache.put(generation, question(b"a"), Bytes::from_static(b"old"));
        assert!(cache.get(&question(b"a")).is_err());
    }

    #[test]
    fn a_long_request_is_not_kept() {
        let cache = ResponseCache::default();
        let long = Question { body: vec![0; QUESTION_BYTES_MAX + 1].into(), ..question(b"") };
        let generation = cache.get(&long).unwrap_err();
        cache.put(generation, long, Bytes::from_static(b"answer"));
        assert!(cache.lock().answers.is_empty());
    }

    #[test]
    fn the_cache_stays_small() {
        let cache = ResponseCache::default();
        for version in 0..100 {
            let question = Question { version, ..question(b"a") };
            let generation = cache.get(&question).unwrap_err();
            cache.put(generation, question, vec![0; 200_000].into());
            assert!(cache.lock().bytes <= BYTES_MAX);
        }
    }
}
