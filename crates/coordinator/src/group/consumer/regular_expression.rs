//! Subscriptions by regular expression (KIP-848).
//!
//! To look through every topic takes its time, so it is not done while a member waits: a decision asks
//! for it as data ([`RegexResolution`]), somebody does it ([`resolve_regular_expressions`]) and leaves
//! out what the member may not see, and what came of it is another decision.

use std::collections::{BTreeMap, BTreeSet};

use bytestring::ByteString;
use regex::{Regex, RegexBuilder};

use super::work::Work;
use super::{ConsumerGroupError, ConsumerGroupMember, Re2Error, to_regex};
use crate::metadata::CoordinatorMetadata;

/// No group's expressions are resolved more often than this.
pub const REGEX_BATCH_REFRESH_MIN_INTERVAL_MS: i64 = 10_000;
/// The length that a record's key can hold.
const REGEX_MAX_BYTES: usize = i16::MAX as usize;
/// What an expression may need when it is compiled.
const REGEX_MAX_COMPILED_BYTES: usize = 10 << 20;

/// The topics that an expression matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedRegularExpression {
    /// Their names.
    pub topics: BTreeSet<ByteString>,
    /// The version of the metadata that was looked through.
    pub version: i64,
    /// When that was.
    pub timestamp_ms: i64,
}

/// Somebody is to look for the topics that a group's expressions match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegexResolution {
    /// The group.
    pub group_id: ByteString,
    /// The member whose heartbeat it was: what it may not describe is left out.
    pub member_id: ByteString,
    /// Every expression of the group.
    pub regexes: BTreeSet<ByteString>,
}

/// What a member's heartbeat did to the group's expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RegexUpdate {
    /// The member uses what it used.
    NoChange,
    /// It uses another one, whose topics are not known yet.
    Updated,
    /// It uses another one whose topics are known, or none any more.
    UpdatedAndResolved,
}

/// Compiles an expression that is to match a topic's whole name.
pub fn compile_topic_regex(regex: &str) -> Result<Regex, Re2Error> {
    if regex.len() > REGEX_MAX_BYTES {
        return Err(Re2Error::TooLarge);
    }
    let whole = format!(r"\A(?:{})\z", to_regex(regex)?);
    RegexBuilder::new(&whole)
        .size_limit(REGEX_MAX_COMPILED_BYTES)
        .build()
        .map_err(|error| Re2Error::Unsupported(in_one_line(&error.to_string())))
}

/// The crate draws a picture of the expression first, which is the translated one anyway.
fn in_one_line(error: &str) -> String {
    let last = error.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// Looks for the topics that these expressions match. Expressions that cannot be read match nothing:
/// nobody is let in with such a one.
pub fn resolve_regular_expressions(
    regexes: &BTreeSet<ByteString>,
    metadata: &dyn CoordinatorMetadata,
    now_ms: i64,
) -> BTreeMap<ByteString, ResolvedRegularExpression> {
    let nothing = ResolvedRegularExpression {
        topics: BTreeSet::new(),
        version: metadata.version(),
        timestamp_ms: now_ms,
    };
    let mut compiled: Vec<_> = regexes.iter().map(|regex| (regex, compile_topic_regex(regex).ok())).collect();
    let mut resolved: BTreeMap<ByteString, ResolvedRegularExpression> =
        regexes.iter().map(|regex| (regex.clone(), nothing.clone())).collect();
    compiled.retain(|(_, compiled)| compiled.is_some());
    for topic in metadata.topic_names() {
        for (regex, compiled) in &compiled {
            if compiled.as_ref().is_some_and(|compiled| compiled.is_match(&topic))
                && let Some(resolved) = resolved.get_mut(*regex)
            {
                resolved.topics.insert(topic.clone());
            }
        }
    }
    resolved
}

impl Work<'_> {
    /// Notes that the member uses another expression than it did, and asks for the expressions to be
    /// resolved when that is due. The member's own record is written by now.
    pub(crate) fn update_regular_expressions(
        &mut self,
        before: &ConsumerGroupMember,
        member: &ConsumerGroupMember,
    ) -> Result<RegexUpdate, ConsumerGroupError> {
        let mut update = RegexUpdate::NoChange;
        let mut is_new = false;
        if before.subscribed_topic_regex != member.subscribed_topic_regex {
            update = RegexUpdate::Updated;
            if let Some(old) = before.regex().filter(|old| self.group.num_regex_members(old) == 0) {
                self.write_regex_tombstone(old);
            }
            match member.regex() {
                Some(regex) if self.group.num_regex_members(regex) <= 1 => {
                    let invalid = |error| ConsumerGroupError::InvalidRegularExpression(regex.clone(), error);
                    compile_topic_regex(regex).map_err(invalid)?;
                    is_new = true;
                }
                Some(regex) if self.group.resolved_regex(regex).is_some() => {
                    update = RegexUpdate::UpdatedAndResolved;
                }
                Some(_) => {}
                None if before.regex().is_some() => update = RegexUpdate::UpdatedAndResolved,
                None => {}
            }
        }
        if self.is_resolution_due(is_new) {
            self.resolve = Some(RegexResolution {
                group_id: self.group.group_id.clone(),
                member_id: member.member_id.clone(),
                regexes: self.group.regex_members.iter().map(|(regex, _)| regex.clone()).collect(),
            });
        }
        Ok(update)
    }

    fn is_resolution_due(&self, is_new: bool) -> bool {
        let group = &self.group;
        if group.regex_members.is_empty() || self.context.is_resolving {
            return false;
        }
        // They were all resolved at once, so that any one tells when.
        let last = group.resolved_regexes.values().next();
        let (last_ms, last_version) = last.map_or((i64::MIN, 0), |last| (last.timestamp_ms, last.version));
        let now_ms = self.context.now_ms;
        if now_ms <= last_ms.saturating_add(REGEX_BATCH_REFRESH_MIN_INTERVAL_MS) {
            return false;
        }
        let interval_ms = i64::from(self.context.config.regex_refresh_interval_ms);
        is_new
            || group.regex_members.len() != group.resolved_regexes.size()
            || last_version < self.context.new_topics_version
            || now_ms > last_ms.saturating_add(interval_ms)
    }
}

#[cfg(test)]
#[path = "regular_expression_test.rs"]
mod tests;
