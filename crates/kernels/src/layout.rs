/*!
Panels of outputs: which output of a matrix stands at which position.

A panel holds [`VECTORS`] vectors of outputs side by side. Positions are numbered through all panels of a matrix.
*/

/// Number of vectors in a panel.
pub(crate) const VECTORS: usize = 4;
/// Number of lanes in the widest vector of any kernel.
pub(crate) const MAX_LANES: usize = 16;
/// Number of outputs in the widest panel of any kernel.
pub(crate) const MAX_WIDTH: usize = VECTORS * MAX_LANES;

/// Order of a matrix's outputs in its panels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// The outputs in their own order.
    Plain,
    /// A vector for each of [`VECTORS`] gates of the same units. The outputs themselves are ordered by gate, then by unit,
    /// as in PyTorch.
    Vectors,
    /// For the units of a panel, a panel for each of this number of gates.
    Panels(usize),
}

impl Layout {
    /// Number of panels for `outer` outputs.
    ///
    /// # Panics
    /// If the outputs cannot be divided into the layout's gates.
    pub(crate) fn panels(self, outer: usize, lanes: usize) -> usize {
        let units = |gates: usize| {
            assert_eq!(outer % gates, 0, "{gates} gates of the same size");
            outer / gates
        };
        match self {
            Layout::Plain => outer.div_ceil(VECTORS * lanes),
            Layout::Vectors => units(VECTORS).div_ceil(lanes),
            Layout::Panels(gates) => gates * units(gates).div_ceil(VECTORS * lanes),
        }
    }

    /// For each position in the panels, the output, of `outer`, that stands there, if any.
    ///
    /// # Panics
    /// As [`Layout::panels`].
    pub(crate) fn outputs(self, outer: usize, lanes: usize) -> Vec<Option<usize>> {
        let width = VECTORS * lanes;
        let (gates, units_together) = match self {
            Layout::Plain => (1, width),
            Layout::Vectors => (VECTORS, lanes),
            Layout::Panels(gates) => (gates, width),
        };
        let units = outer / gates;
        let positions = 0..self.panels(outer, lanes) * width;
        let output = |position: usize| {
            let (part, at) = (position / units_together, position % units_together);
            let unit = part / gates * units_together + at;
            (unit < units).then_some(part % gates * units + unit)
        };
        positions.map(output).collect()
    }
}

/// The parts of a buffer, `[panels, _]`, that belong to each panel. They may be empty.
pub(crate) fn split_panels(
    mut values: &mut [f32],
    panels: usize,
) -> impl Iterator<Item = &mut [f32]> {
    let size = values.len() / panels;
    (0..panels).map(move |_| values.split_off_mut(..size).expect("a part for each panel"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_outputs_keep_their_order() {
        let layout = Layout::Plain;
        assert_eq!(layout.panels(33, 8), 2);
        let expected = (0..64).map(|at| (at < 33).then_some(at));
        assert_eq!(layout.outputs(33, 8), expected.collect::<Vec<_>>());
    }

    #[test]
    fn gates_stand_in_vectors_or_in_panels() {
        // Four gates of five units, in vectors of four lanes.
        let outputs = Layout::Vectors.outputs(20, 4);
        let vector = |from: usize| (from..from + 4).map(Some).collect::<Vec<_>>();
        let last = |output: usize| vec![Some(output), None, None, None];
        let first = [vector(0), vector(5), vector(10), vector(15)].concat();
        let second = [last(4), last(9), last(14), last(19)].concat();
        assert_eq!(outputs, [first, second].concat());
        // Two gates of seventeen units, in panels of sixteen.
        let layout = Layout::Panels(2);
        assert_eq!(layout.panels(34, 4), 4);
        let panel = |from: usize| (from..from + 16).map(Some).collect::<Vec<_>>();
        let last = |output: usize| [vec![Some(output)], vec![None; 15]].concat();
        let expected = [panel(0), panel(17), last(16), last(33)].concat();
        assert_eq!(layout.outputs(34, 4), expected);
    }
}
