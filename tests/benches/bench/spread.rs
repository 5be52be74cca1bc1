//! Medians and tails of repeated measurements.

/// Measurements, sorted.
pub(crate) struct Spread(Vec<f64>);

impl Spread {
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// The value that so many thousandths of all values do not exceed; NaN when there is none.
    pub(crate) fn quantile(&self, thousandths: usize) -> f64 {
        let last = self.0.len().saturating_sub(1);
        self.0
            .get(last * thousandths.min(1000) / 1000)
            .copied()
            .unwrap_or(f64::NAN)
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(500)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
