//! Results as a table, as JSON and as a chart.

use super::load::Round;
use plotters::prelude::*;
use serde_json::json;
use std::path::Path;

/// A ratio of measured figures, and its required bound.
pub struct Ratio {
    name: &'static str,
    wanted: Wanted,
    of: fn(&Report) -> f64,
}

/// Bound that a figure must meet.
#[derive(Clone, Copy)]
pub enum Wanted {
    AtLeast(f64),
    AtMost(f64),
    /// No bound: shown for information.
    Nothing,
}

impl Ratio {
    pub const fn at_least(name: &'static str, limit: f64, of: fn(&Report) -> f64) -> Self {
        Self { name, wanted: Wanted::AtLeast(limit), of }
    }

    pub const fn at_most(name: &'static str, limit: f64, of: fn(&Report) -> f64) -> Self {
        Self { name, wanted: Wanted::AtMost(limit), of }
    }

    pub const fn reported(name: &'static str, of: fn(&Report) -> f64) -> Self {
        Self { name, wanted: Wanted::Nothing, of }
    }
}

impl Wanted {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(limit) => value >= limit,
            Self::AtMost(limit) => value <= limit,
            Self::Nothing => true,
        }
    }

    /// Returns the text for the last column of a table.
    pub fn judges(self, value: f64) -> String {
        let missed = if self.holds(value) { "" } else { " (missed)" };
        match self {
            Self::AtLeast(limit) => format!("≥ {limit}{missed}"),
            Self::AtMost(limit) => format!("≤ {limit}{missed}"),
            Self::Nothing => "reported".to_owned(),
        }
    }
}

/// The medians of all loads.
pub struct Report {
    pub title: &'static str,
    pub rows: Vec<(&'static str, Round)>,
    pub ratios: &'static [Ratio],
}

impl Report {
    /// Returns NaN if the load was left out.
    fn of(&self, name: &str, number: fn(&Round) -> f64) -> f64 {
        self.rows.iter().find(|(row, _)| *row == name).map_or(f64::NAN, |(_, round)| number(round))
    }

    pub fn ops(&self, name: &str) -> f64 {
        self.of(name, |round| round.ops_per_second)
    }

    pub fn p50(&self, name: &str) -> f64 {
        self.of(name, |round| round.p50_us)
    }

    pub fn cpu(&self, name: &str) -> f64 {
        self.of(name, |round| round.cpu_us)
    }

    fn ratios(&self) -> impl Iterator<Item = (&Ratio, f64)> {
        self.ratios
            .iter()
            .map(|ratio| (ratio, (ratio.of)(self)))
            .filter(|(_, value)| value.is_finite())
    }

    pub fn print(&self, as_json: bool) {
        if as_json {
            let rows: Vec<_> = self
                .rows
                .iter()
                .map(|(name, round)| json!({ "name": name, "ops_per_s": round.ops_per_second, "p50_us": round.p50_us, "p99_us": round.p99_us, "cpu_us": round.cpu_us }))
                .collect();
            let ratios: Vec<_> = self
                .ratios()
                .map(|(ratio, value)| {
                    let (name, holds) = (ratio.name, ratio.wanted.holds(value));
                    match ratio.wanted {
                        Wanted::AtLeast(limit) => json!({ "name": name, "value": value, "at_least": limit, "holds": holds }),
                        Wanted::AtMost(limit) => json!({ "name": name, "value": value, "at_most": limit, "holds": holds }),
                        Wanted::Nothing => json!({ "name": name, "value": value }),
                    }
                })
                .collect();
            println!("{}", json!({ "loads": rows, "ratios": ratios }));
            return;
        }
        println!(
            "| load | commands/s | p50 µs | p99 µs | CPU µs a command |\n|---|---:|---:|---:|---:|"
        );
        for (name, round) in &self.rows {
            println!(
                "| {name} | {:.0} | {:.1} | {:.1} | {:.2} |",
                round.ops_per_second, round.p50_us, round.p99_us, round.cpu_us
            );
        }
        println!("\n| ratio | measured | wanted |\n|---|---:|---:|");
        for (ratio, value) in self.ratios() {
            println!("| {} | {value:.2} | {} |", ratio.name, ratio.wanted.judges(value));
        }
    }

    /// Draws a bar for each load.
    pub fn draw(&self, path: &Path) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        const BAR: u32 = 26;
        const LEFT: i32 = 330;
        const RIGHT: i32 = 90;
        const WIDTH: i32 = 860;
        let height = 50 + BAR * u32::try_from(self.rows.len())?;
        let most = self.rows.iter().map(|(_, round)| round.ops_per_second).fold(1.0, f64::max);
        let area = SVGBackend::new(path, (WIDTH as u32, height)).into_drawing_area();
        let failed = |error: DrawingAreaErrorKind<std::io::Error>| error.to_string();
        area.fill(&WHITE).map_err(failed)?;
        area.draw_text(self.title, &("sans-serif", 16).into_text_style(&area), (10, 12))
            .map_err(failed)?;
        let small = ("sans-serif", 13).into_text_style(&area);
        for (index, (name, round)) in self.rows.iter().enumerate() {
            let top = 40 + i32::try_from(index)? * BAR as i32;
            let length = (f64::from(WIDTH - LEFT - RIGHT) * round.ops_per_second / most) as i32;
            let color = if name.contains("redis-rest") {
                RGBColor(200, 60, 40)
            } else {
                RGBColor(140, 140, 150)
            };
            area.draw(&Rectangle::new(
                [(LEFT, top), (LEFT + length.max(1), top + BAR as i32 - 8)],
                color.filled(),
            ))
            .map_err(failed)?;
            area.draw_text(name, &small, (10, top + 2)).map_err(failed)?;
            area.draw_text(
                &format!("{:.0}", round.ops_per_second),
                &small,
                (LEFT + length + 6, top + 2),
            )
            .map_err(failed)?;
        }
        area.present().map_err(failed)?;
        Ok(())
    }
}
