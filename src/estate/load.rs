//! How busy a machine is: a curve over the day, a weekly rhythm, and what happens to it.

/// Minutes in an hour and in a day.
pub(super) const HOUR: i64 = 60;
pub(super) const DAY: i64 = 24 * HOUR;

/// Minutes from the beginning.
pub(super) const fn at(day: i64, hour: i64, minute: i64) -> i64 {
    day * DAY + hour * HOUR + minute
}

/// Whether the minute lies on a Saturday or Sunday; the first day is a Monday.
pub(super) fn weekend(minute: i64) -> bool {
    minute.div_euclid(DAY).rem_euclid(7) >= 5
}

/// A share of the peak, by hour of the day.
type Day = [f64; 24];

/// People shop in the evening.
pub(super) const SHOP: Day = [
    0.30, 0.24, 0.20, 0.18, 0.18, 0.22, 0.32, 0.45, 0.55, 0.62, 0.66, 0.70, 0.74, 0.72, 0.70, 0.72,
    0.76, 0.82, 0.90, 0.97, 1.00, 0.88, 0.64, 0.42,
];
/// People work by day.
pub(super) const OFFICE: Day = [
    0.10, 0.10, 0.10, 0.10, 0.10, 0.12, 0.20, 0.45, 0.80, 0.95, 1.00, 0.95, 0.75, 0.90, 1.00, 0.95,
    0.85, 0.60, 0.35, 0.20, 0.15, 0.12, 0.10, 0.10,
];
/// Jobs run by night.
pub(super) const NIGHT: Day = [
    0.95, 1.00, 1.00, 0.98, 0.90, 0.60, 0.30, 0.20, 0.20, 0.20, 0.20, 0.20, 0.20, 0.20, 0.20, 0.20,
    0.20, 0.20, 0.20, 0.20, 0.25, 0.40, 0.70, 0.90,
];
/// Always the same.
pub(super) const FLAT: Day = [1.0; 24];

/// How busy a machine is.
#[derive(Clone, Debug)]
pub(super) struct Load {
    pub(super) day: &'static Day,
    /// What is left of it at weekends.
    pub(super) weekend: f64,
    /// Average CPU at rest and at the peak, percent.
    pub(super) cpu: (f64, f64),
    /// How far single values stray, percent of CPU.
    pub(super) stray: f64,
    /// Megabytes a minute in and out together, at the peak.
    pub(super) megabytes: f64,
    /// From minute, to minute: average CPU whatever the curve says.
    pub(super) levels: Vec<(i64, i64, f64)>,
    /// Every day from this minute of it, for so many minutes: average CPU.
    pub(super) daily: Option<(i64, i64, f64)>,
}

impl Load {
    pub(super) fn new(day: &'static Day, cpu: (f64, f64), megabytes: f64) -> Self {
        Self {
            day,
            weekend: 0.8,
            cpu,
            stray: 3.0,
            megabytes,
            levels: Vec::new(),
            daily: None,
        }
    }

    /// The share of the peak, 0 to 1.
    pub(super) fn share(&self, minute: i64) -> f64 {
        let of_day = minute.rem_euclid(DAY);
        let hour = (of_day / HOUR) as usize;
        let part = (of_day % HOUR) as f64 / HOUR as f64;
        let now = self.day[hour] * (1.0 - part) + self.day[(hour + 1) % 24] * part;
        if weekend(minute) {
            now * self.weekend
        } else {
            now
        }
    }

    /// Average CPU in percent; `noise` lies between -1 and 1.
    pub(super) fn cpu_at(&self, minute: i64, noise: f64) -> f64 {
        let level = self
            .levels
            .iter()
            .find(|(from, to, _)| (*from..*to).contains(&minute));
        let of_day = minute.rem_euclid(DAY);
        let daily = self
            .daily
            .filter(|(from, span, _)| (*from..from + span).contains(&of_day));
        let average = match (level, daily) {
            (Some((_, _, level)), _) => *level,
            (None, Some((_, _, level))) => level,
            (None, None) => self.cpu.0 + (self.cpu.1 - self.cpu.0) * self.share(minute),
        };
        (average + self.stray * noise).clamp(0.1, 100.0)
    }

    /// Bytes in and out together over `minutes`; `noise` lies between -1 and 1.
    pub(super) fn bytes_at(&self, minute: i64, minutes: i64, noise: f64) -> f64 {
        let share = self.share(minute) * (1.0 + 0.1 * noise);
        (self.megabytes * 1.0e6 * share * minutes as f64)
            .round()
            .max(0.0)
    }
}

/// The value at a minute of a line through points sorted by minute; flat before and after.
pub(super) fn along(points: &[(i64, f64)], minute: i64) -> f64 {
    let after = points.partition_point(|(at, _)| *at <= minute);
    match (
        after.checked_sub(1).map(|before| points[before]),
        points.get(after),
    ) {
        (Some((from, low)), Some((to, high))) => {
            low + (high - low) * (minute - from) as f64 / (to - from) as f64
        }
        (Some((_, last)), None) => last,
        (None, Some((_, first))) => *first,
        (None, None) => 0.0,
    }
}
