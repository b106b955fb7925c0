//! `vlgate bench`: prefill, decode, many clients and pictures, for any model and runtime.

use clap::Args;
use vlgate_engine::bench::{Plan, run};

use crate::{
    serve,
    settings::{ServeFlags, Settings},
};

/// `vlgate bench`.
#[derive(Debug, Clone, Args)]
pub struct BenchFlags {
    #[command(flatten)]
    model: ServeFlags,
    /// Prompt lengths in tokens
    #[arg(long, value_delimiter = ',', default_values_t = [110, 512])]
    prefill: Vec<u32>,
    /// Tokens of one stream's answer; 0 leaves the row out
    #[arg(long, default_value_t = 64)]
    decode: u32,
    /// Clients at once
    #[arg(long, value_delimiter = ',', default_values_t = [1, 4, 8])]
    clients: Vec<usize>,
    /// Prompt tokens of each of several clients
    #[arg(long, default_value_t = 55)]
    client_prompt: u32,
    /// Answer tokens of each of several clients
    #[arg(long, default_value_t = 32)]
    client_tokens: u32,
    /// Pictures as WIDTHxHEIGHT
    #[arg(long, value_delimiter = ',', default_values = ["256x256", "512x384"], value_parser = size)]
    images: Vec<(u32, u32)>,
    /// Prompts in tokens that come while another client's answer is decoded
    #[arg(long, value_delimiter = ',', default_values_t = [2000])]
    stalls: Vec<u32>,
    /// Context lengths in tokens, rising, behind which one token's cost is measured (long ones take minutes)
    #[arg(long, value_delimiter = ',')]
    contexts: Vec<u32>,
    /// Runs of each row; the median is reported
    #[arg(long, default_value_t = 3)]
    repeat: usize,
    /// Print the report as JSON instead of lines
    #[arg(long)]
    json: bool,
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let sides = text.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    sides
        .filter(|(w, h)| (1..=8192).contains(w) && (1..=8192).contains(h))
        .ok_or_else(|| format!("'{text}' is not a size such as 512x384"))
}

/// Loads the model as `serve` would, and measures it.
///
/// # Errors
/// What keeps the model from loading or answering.
pub async fn bench(flags: BenchFlags) -> anyhow::Result<()> {
    let settings = Settings::read(flags.model)?;
    let (engine, id) = serve::engine(&settings).await?;
    let plan = Plan {
        prefill: flags.prefill,
        decode: flags.decode,
        clients: flags.clients,
        client_prompt: flags.client_prompt,
        client_tokens: flags.client_tokens,
        images: flags.images,
        stalls: flags.stalls,
        contexts: flags.contexts,
        repeat: flags.repeat.max(1),
    };
    let quiet = flags.json;
    let card = engine.models().into_iter().find(|m| m.id == id);
    let room = card.map_or(0, |c| c.context_length);
    if let Some(long) = plan.contexts.iter().find(|n| **n + 64 > room) {
        anyhow::bail!("--contexts {long} needs --context {} or more; this model's is {room}", long + 64);
    }
    let plan = Plan { stalls: plan.stalls.into_iter().filter(|n| n + 64 <= room).collect(), ..plan };
    let report = run(engine.as_ref(), &id, &plan, &|line| {
        if !quiet {
            println!("{line}");
        }
    })
    .await?;
    if flags.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    }
    Ok(())
}
