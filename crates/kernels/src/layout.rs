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
    /// The gates of the same units, a vector each: for each vector of a panel, the number of the gate that stands there,
    /// if any. The outputs themselves are ordered by gate, then by unit, as in PyTorch.
    Gates([Option<usize>; VECTORS]),
}

impl Layout {
    /// Number of panels for `outer` outputs.
    ///
    /// # Panics
    /// If the outputs cannot be divided into the layout's gates.
    pub(crate) fn panels(self, outer: usize, lanes: usize) -> usize {
        match self {
            Layout::Plain => outer.div_ceil(VECTORS * lanes),
            Layout::Gates(map) => {
                let gates = number_of_gates(&map);
                assert_eq!(outer % gates, 0, "{gates} gates of the same size");
                (outer / gates).div_ceil(lanes)
            }
        }
    }

    /// For each position in the panels, the output, of `outer`, that stands there, if any.
    ///
    /// # Panics
    /// As [`Layout::panels`].
    pub(crate) fn outputs(self, outer: usize, lanes: usize) -> Vec<Option<usize>> {
        let panels = self.panels(outer, lanes);
        match self {
            Layout::Plain => {
                let positions = 0..panels * VECTORS * lanes;
                positions.map(|at| (at < outer).then_some(at)).collect()
            }
            Layout::Gates(map) => {
                let units = outer / number_of_gates(&map);
                let mut outputs = Vec::with_capacity(panels * VECTORS * lanes);
                for panel in 0..panels {
                    for gate in map {
                        outputs.extend((panel * lanes..(panel + 1) * lanes).map(|unit| {
                            let gate = gate.filter(|_| unit < units)?;
                            Some(gate * units + unit)
                        }));
                    }
                }
                outputs
            }
        }
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

fn number_of_gates(map: &[Option<usize>]) -> usize {
    map.iter().flatten().count()
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
    fn gates_stand_where_the_map_says_and_a_missing_gate_leaves_its_vector_empty() {
        // Three gates of five units; the third vector is empty.
        let layout = Layout::Gates([Some(1), Some(0), None, Some(2)]);
        assert_eq!(layout.panels(15, 4), 2);
        let outputs = layout.outputs(15, 4);
        let [first, second] = outputs.as_chunks::<16>().0 else {
            panic!("two panels");
        };
        let vector = |from: usize| (from..from + 4).map(Some).collect::<Vec<_>>();
        let expected = [vector(5), vector(0), vec![None; 4], vector(10)].concat();
        assert_eq!(first[..], expected);
        let last = |output: usize| vec![Some(output), None, None, None];
        let expected = [last(9), last(4), vec![None; 4], last(14)].concat();
        assert_eq!(second[..], expected);
    }
}
