//! What the table of APIs implies: headers and stable versions.

use crate::ApiKey;

impl ApiKey {
    /// The request header's version: 2 once the message is flexible (KIP-482), else 1.
    pub fn request_header_version(self, version: i16) -> i16 {
        if version >= self.first_flexible_version() { 2 } else { 1 }
    }

    /// The response header's version. ApiVersions keeps 0 for ever, because its sender cannot know
    /// yet what the broker speaks (KIP-511).
    pub fn response_header_version(self, version: i16) -> i16 {
        i16::from(self != Self::ApiVersions && version >= self.first_flexible_version())
    }

    /// The newest version a broker offers unless `unstable.api.versions.enable` is set.
    pub fn latest_stable_version(self) -> i16 {
        self.max_version() - i16::from(self.latest_version_unstable())
    }

    /// Whether the message exists in this version.
    pub fn supports(self, version: i16) -> bool {
        (self.min_version()..=self.max_version()).contains(&version)
    }
}
