/*!
What processes that train together exchange at a step: losses, gradients, and, when the run is saved, the state of the streams.
*/

use tch::{Device, Kind, Tensor};

use super::world::World;
use crate::gradients::Window;
use crate::network::State;
use carousel::error::Result;

/// Replaces loss and gradients by their means over the processes, whose parts of the batch are equally large, and the number
/// of tokens by their sum. Returns whether any process was asked to end.
///
/// # Errors
/// A process that is lost.
pub fn sum(world: &World, window: &mut Window, interrupted: bool) -> Result<bool> {
    let ranks = world.share().ranks;
    if ranks == 1 {
        return Ok(false);
    }
    tch::no_grad(|| {
        let asked = f32::from(u8::from(interrupted));
        let mut parts = vec![Tensor::from_slice(&[window.loss as f32, asked])];
        for (name, gradient) in window.gradients.iter() {
            let rows = window.rows.get(name);
            let part = match rows.map(|rows| indices(rows)) {
                Some(rows) => gradient.index_select(0, &rows.to_device(gradient.device())),
                None => gradient.shallow_clone(),
            };
            let part = part.to_device(Device::Cpu).to_kind(Kind::Float);
            parts.push(part.reshape([-1]));
        }
        let mut all = Tensor::cat(&parts, 0);
        world.sum(&mut all)?;
        let asked = all.double_value(&[1]) > 0.0;
        let _ = all.g_div_scalar_(ranks as f64);
        window.loss = all.double_value(&[0]);
        let mut begin = 2;
        for ((name, gradient), part) in window.gradients.iter_mut().zip(&parts[1..]) {
            let size = part.numel() as i64;
            let mean = all.narrow(0, begin, size).to_device(gradient.device());
            begin += size;
            match window.rows.get(name) {
                Some(rows) => {
                    let rows = indices(rows).to_device(gradient.device());
                    let mut shape = gradient.size();
                    shape[0] = rows.numel() as i64;
                    let _ = gradient.index_copy_(0, &rows, &mean.reshape(&shape[..]));
                }
                None => gradient.copy_(&mean.view_as(gradient)),
            }
        }
        window.tokens *= ranks;
        Ok(asked)
    })
}

/// Puts together the state of all streams, of which each process has computed its own.
///
/// # Errors
/// A process that is lost.
pub fn gather(world: &World, streams: &mut State) -> Result<()> {
    let share = world.share();
    if share.ranks == 1 {
        return Ok(());
    }
    for part in &mut streams.parts {
        let rows = share.rows(part.size()[1] as usize);
        let own = |tensor: &Tensor| tensor.narrow(1, rows.start as i64, rows.len() as i64);
        let mut whole = part.zeros_like().to_device(Device::Cpu);
        own(&whole).copy_(&own(part));
        world.sum(&mut whole)?;
        *part = whole.to_device(part.device());
    }
    Ok(())
}

fn indices(rows: &[u32]) -> Tensor {
    let rows: Vec<i64> = rows.iter().map(|&row| i64::from(row)).collect();
    Tensor::from_slice(&rows)
}
