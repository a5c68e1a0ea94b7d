//! Points and spans of time as ISO 8601 writes them.

const DAY_MS: i64 = 24 * HOUR_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const SECOND_MS: i64 = 1000;

/// Milliseconds of `PnDTnHnMn.nS`.
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    let upper = text.to_ascii_uppercase();
    let (negative, rest) = match upper.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, upper.as_str()),
    };
    let rest = rest.strip_prefix('P')?;
    let (days, clock) = rest.split_once('T').map_or((rest, None), |(days, clock)| (days, Some(clock)));
    let mut total = parts(days, &[('D', DAY_MS)])?;
    if let Some(clock) = clock {
        total = total.saturating_add(parts(clock, &[('H', HOUR_MS), ('M', MINUTE_MS), ('S', SECOND_MS)])?);
    }
    let nothing = days.is_empty() && clock.is_none_or(str::is_empty);
    (!nothing).then_some(if negative { total.saturating_neg() } else { total })
}

fn parts(mut text: &str, units: &[(char, i64)]) -> Option<i64> {
    let mut total = 0.0;
    for (letter, ms) in units {
        if let Some((number, rest)) = text.split_once(*letter) {
            total += number.parse::<f64>().ok()? * *ms as f64;
            text = rest;
        }
    }
    text.is_empty().then_some(total as i64)
}

/// Milliseconds since the epoch of `YYYY-MM-DDThh:mm[:ss[.SSS]][Z|±hh[:mm]]`; without a zone, UTC.
pub(crate) fn parse_datetime(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T')?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    if !(0..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (clock, zone_ms) = split_zone(time)?;
    let mut clock = clock.splitn(3, ':');
    let hours: i64 = clock.next()?.parse().ok()?;
    let minutes: i64 = clock.next()?.parse().ok()?;
    let seconds: f64 = clock.next().map_or(Some(0.0), |part| part.parse().ok())?;
    if !(0..24).contains(&hours) || !(0..60).contains(&minutes) || !(0.0..61.0).contains(&seconds) {
        return None;
    }
    let in_day = hours * HOUR_MS + minutes * MINUTE_MS + (seconds * SECOND_MS as f64).round() as i64;
    Some(days_from_civil(year, month, day) * DAY_MS + in_day - zone_ms)
}

fn split_zone(time: &str) -> Option<(&str, i64)> {
    if let Some(clock) = time.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let Some(at) = time.rfind(['+', '-']) else { return Some((time, 0)) };
    let (clock, zone) = time.split_at(at);
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let digits = zone[1..].replace(':', "");
    let (hours, minutes) = match digits.len() {
        2 => (digits.as_str(), "0"),
        4 => digits.split_at(2),
        _ => return None,
    };
    let ms = hours.parse::<i64>().ok()? * HOUR_MS + minutes.parse::<i64>().ok()? * MINUTE_MS;
    Some((clock, sign * ms))
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar: March-based years make leap days last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(parse_duration("P1DT2H3M4.5S"), Some(93_784_500));
        assert_eq!(parse_duration("PT10M"), Some(600_000));
        assert_eq!(parse_duration("-PT1S"), Some(-1000));
        assert_eq!(parse_duration("P"), None);
        assert_eq!(parse_duration("10 minutes"), None);
    }

    #[test]
    fn points_in_time() {
        assert_eq!(parse_datetime("1970-01-01T00:00:00.000"), Some(0));
        assert_eq!(parse_datetime("2026-11-21T05:30:00.250Z"), Some(1_795_239_000_250));
        assert_eq!(parse_datetime("2026-11-21T06:30+01:00"), Some(1_795_239_000_000));
        assert_eq!(parse_datetime("2000-02-29T00:00:00-0500"), Some(951_800_400_000));
        assert_eq!(parse_datetime("2026-13-01T00:00"), None);
    }
}
