/*!
What processes that train together exchange at a step: losses, gradients, and, when the run is saved, the state of the streams.
*/

use std::ops::Range;

use tch::{Device, Kind, Tensor};

use super::world::World;
use crate::gradients::Window;
use crate::network::State;
use carousel::checkpoint::arguments::GradientPrecision;
use carousel::error::Result;

/// Replaces loss and gradients by their means over the processes, each of which counts by its window's weight, and the number
/// of tokens by their sum. Returns whether any process was asked to end.
///
/// # Errors
/// A process that is lost.
pub fn sum(
    world: &World,
    window: &mut Window,
    interrupted: bool,
    precision: GradientPrecision,
) -> Result<bool> {
    let ranks = world.share().ranks;
    if ranks == 1 {
        return Ok(false);
    }
    let asked = f64::from(u8::from(interrupted));
    let mut numbers = [window.loss * window.weight, window.tokens as f64, asked];
    world.sum_numbers(&mut numbers)?;
    window.loss = numbers[0] / ranks as f64;
    window.tokens = numbers[1] as usize;
    tch::no_grad(|| {
        let part = |(name, gradient): (&str, &Tensor)| {
            let rows = window.rows.get(name).map(|rows| indices(rows));
            let part = match rows {
                Some(rows) => gradient.index_select(0, &rows.to_device(gradient.device())),
                None => gradient.shallow_clone(),
            };
            match window.weight {
                1.0 => part,
                weight => part * weight,
            }
        };
        let parts: Vec<Tensor> = window.gradients.iter().map(part).collect();
        let means = means(world, &parts, precision)?;
        for ((name, gradient), mean) in window.gradients.iter_mut().zip(means) {
            let mean = mean.to_device(gradient.device());
            match window.rows.get(name) {
                Some(rows) => {
                    let rows = indices(rows).to_device(gradient.device());
                    let _ = gradient.index_copy_(0, &rows, &mean);
                }
                None => gradient.copy_(&mean),
            }
        }
        Ok(numbers[2] > 0.0)
    })
}

/// The means of tensors over the processes, on the CPU and in float32; they are sent together, in a precision.
///
/// # Errors
/// A process that is lost.
pub fn means(world: &World, parts: &[Tensor], precision: GradientPrecision) -> Result<Vec<Tensor>> {
    let flat = |part: &Tensor| {
        let part = part.to_device(Device::Cpu).to_kind(Kind::Float);
        part.reshape([-1])
    };
    let mut all = Tensor::cat(&parts.iter().map(flat).collect::<Vec<_>>(), 0);
    match precision {
        GradientPrecision::F32 => world.sum(&mut all)?,
        GradientPrecision::Bf16 => {
            let mut short = all.to_kind(Kind::BFloat16);
            world.sum(&mut short)?;
            all.copy_(&short);
        }
    }
    let _ = all.g_div_scalar_(world.share().ranks as f64);
    let mut begin = 0;
    let mean = |part: &Tensor| {
        let size = part.numel() as i64;
        begin += size;
        all.narrow(0, begin - size, size).view_as(part)
    };
    Ok(parts.iter().map(mean).collect())
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

/// Puts together texts, of which each process has some, and the others as empty ones.
///
/// # Errors
/// A process that is lost.
pub fn gather_texts(world: &World, texts: &mut [String]) -> Result<()> {
    if world.share().ranks == 1 {
        return Ok(());
    }
    let lengths = texts.iter().map(|text| text.len() as f64);
    let mut lengths: Vec<f64> = lengths.collect();
    world.sum_numbers(&mut lengths)?;
    let mut bytes = vec![0u8; lengths.iter().sum::<f64>() as usize];
    let mut begin = 0;
    let ranges = lengths.iter().map(|&length| {
        begin += length as usize;
        begin - length as usize..begin
    });
    let ranges: Vec<Range<usize>> = ranges.collect();
    for (text, range) in texts.iter().zip(&ranges) {
        bytes[range.start..][..text.len()].copy_from_slice(text.as_bytes());
    }
    let mut all = Tensor::from_slice(&bytes);
    world.sum(&mut all)?;
    let size = bytes.len();
    all.copy_data(&mut bytes, size);
    for (text, range) in texts.iter_mut().zip(ranges) {
        *text = String::from_utf8_lossy(&bytes[range]).into_owned();
    }
    Ok(())
}

fn indices(rows: &[u32]) -> Tensor {
    let rows: Vec<i64> = rows.iter().map(|&row| i64::from(row)).collect();
    Tensor::from_slice(&rows)
}
