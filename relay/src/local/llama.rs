//! The llama architecture on quantised weights: token ids in, the logits of the next token out.
//!
//! Weights are read once and shared by all answers; what belongs to one answer is its [`Memory`]. Grouped-query
//! attention is computed without repeating keys: the heads that share a key are stacked into rows instead.

use std::io::{Read, Seek};

use candle_core::quantized::{QMatMul, gguf_file};
use candle_core::{D, Device, Module, Result, Tensor};
use candle_nn::kv_cache::KvCache;
use candle_nn::ops::{rms_norm, silu, softmax_last_dim};
use candle_nn::rotary_emb::rope_i;

/// The key-value memory grows in steps of this many tokens.
const MEMORY_STEP_TOKENS: usize = 256;

/// The weights of one model.
pub(super) struct Llama {
    embeddings: QMatMul,
    layers: Vec<Layer>,
    norm: Norm,
    output: QMatMul,
    /// Rotation angles by position, `[context, head size / 2]` each.
    cosines: Tensor,
    sines: Tensor,
}

/// What the model remembers of one conversation.
pub(super) struct Memory {
    layers: Vec<KvCache>,
    tokens: usize,
}

struct Layer {
    attention_norm: Norm,
    query: QMatMul,
    key: QMatMul,
    value: QMatMul,
    attention_output: QMatMul,
    feed_norm: Norm,
    gate: QMatMul,
    up: QMatMul,
    down: QMatMul,
    heads: usize,
    key_heads: usize,
}

struct Norm {
    weight: Tensor,
    epsilon: f32,
}

impl Norm {
    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        rms_norm(x, &self.weight, self.epsilon)
    }
}

/// Reads tensors and numbers by their names in the file.
struct Source<'a, R> {
    content: &'a gguf_file::Content,
    file: &'a mut R,
}

impl<R: Read + Seek> Source<'_, R> {
    fn value(&self, key: &str) -> Result<&gguf_file::Value> {
        let missing = || candle_core::Error::Msg(format!("the model file has no `{key}`"));
        self.content.metadata.get(key).ok_or_else(missing)
    }

    fn size(&self, key: &str) -> Result<usize> {
        Ok(self.value(key)?.to_u32()? as usize)
    }

    fn matrix(&mut self, name: &str) -> Result<QMatMul> {
        QMatMul::from_qtensor(self.content.tensor(self.file, name, &Device::Cpu)?)
    }

    fn norm(&mut self, name: &str) -> Result<Norm> {
        let weight = self.content.tensor(self.file, name, &Device::Cpu)?.dequantize(&Device::Cpu)?;
        Ok(Norm { weight, epsilon: self.value("llama.attention.layer_norm_rms_epsilon")?.to_f32()? })
    }

    fn layer(&mut self, index: usize) -> Result<Layer> {
        let name = |part: &str| format!("blk.{index}.{part}.weight");
        Ok(Layer {
            attention_norm: self.norm(&name("attn_norm"))?,
            query: self.matrix(&name("attn_q"))?,
            key: self.matrix(&name("attn_k"))?,
            value: self.matrix(&name("attn_v"))?,
            attention_output: self.matrix(&name("attn_output"))?,
            feed_norm: self.norm(&name("ffn_norm"))?,
            gate: self.matrix(&name("ffn_gate"))?,
            up: self.matrix(&name("ffn_up"))?,
            down: self.matrix(&name("ffn_down"))?,
            heads: self.size("llama.attention.head_count")?,
            key_heads: self.size("llama.attention.head_count_kv")?,
        })
    }
}

impl Llama {
    /// Reads the weights for conversations of up to `context` tokens.
    pub(super) fn load<R: Read + Seek>(content: &gguf_file::Content, file: &mut R, context: usize) -> Result<Self> {
        let mut source = Source { content, file };
        let embeddings = source.matrix("token_embd.weight")?;
        // Small models use one matrix at both ends.
        let output = match content.tensor_infos.contains_key("output.weight") {
            true => source.matrix("output.weight")?,
            false => embeddings.clone(),
        };
        let layers = (0..source.size("llama.block_count")?).map(|index| source.layer(index)).collect::<Result<_>>()?;
        let head_size = source.size("llama.rope.dimension_count")?;
        let (cosines, sines) = rotations(head_size, source.value("llama.rope.freq_base")?.to_f32()?, context)?;
        Ok(Self { embeddings, layers, norm: source.norm("output_norm.weight")?, output, cosines, sines })
    }

    /// An empty memory.
    pub(super) fn memory(&self) -> Memory {
        Memory { layers: self.layers.iter().map(|_| KvCache::new(2, MEMORY_STEP_TOKENS)).collect(), tokens: 0 }
    }

    /// Adds `tokens` to the memory and gives the logits of the token that follows them.
    pub(super) fn forward(&self, tokens: &[u32], memory: &mut Memory) -> Result<Vec<f32>> {
        let (count, position) = (tokens.len(), memory.tokens);
        let cosines = self.cosines.narrow(0, position, count)?;
        let sines = self.sines.narrow(0, position, count)?;
        let mask = if count > 1 { Some(causal_mask(count, position)?) } else { None };
        let mut x = self.embeddings.embedding(&Tensor::new(tokens, &Device::Cpu)?)?.unsqueeze(0)?;
        for (layer, cache) in self.layers.iter().zip(&mut memory.layers) {
            let attended = layer.attend(&layer.attention_norm.apply(&x)?, &cosines, &sines, mask.as_ref(), cache)?;
            x = (x + attended)?;
            let fed = layer.feed(&layer.feed_norm.apply(&x)?)?;
            x = (x + fed)?;
        }
        memory.tokens += count;
        let last = self.norm.apply(&x.narrow(1, count - 1, 1)?.contiguous()?)?;
        self.output.forward(&last)?.flatten_all()?.to_vec1()
    }
}

impl Layer {
    fn attend(
        &self,
        x: &Tensor,
        cosines: &Tensor,
        sines: &Tensor,
        mask: Option<&Tensor>,
        cache: &mut KvCache,
    ) -> Result<Tensor> {
        let (_, count, width) = x.dims3()?;
        let head_size = width / self.heads;
        let by_head = |x: Tensor, heads: usize| x.reshape((1, count, heads, head_size))?.transpose(1, 2)?.contiguous();
        let query = rope_i(&by_head(self.query.forward(x)?, self.heads)?, cosines, sines)?;
        let key = rope_i(&by_head(self.key.forward(x)?, self.key_heads)?, cosines, sines)?;
        let value = by_head(self.value.forward(x)?, self.key_heads)?;
        let (keys, values) = cache.append(&key, &value)?;

        // [1, key heads, heads a key × tokens, head size]: one product serves all heads of a key.
        let rows = self.heads / self.key_heads * count;
        let query = (query.reshape((1, self.key_heads, rows, head_size))? * (head_size as f64).powf(-0.5))?;
        let mut weights = query.matmul(&keys.t()?)?;
        if let Some(mask) = mask {
            let seen = keys.dim(2)?;
            let shape = (1, self.key_heads, self.heads / self.key_heads, count, seen);
            weights = weights.reshape(shape)?.broadcast_add(mask)?.reshape((1, self.key_heads, rows, seen))?;
        }
        let mixed = softmax_last_dim(&weights)?.matmul(&values.contiguous()?)?;
        let mixed = mixed.reshape((1, self.heads, count, head_size))?.transpose(1, 2)?.reshape((1, count, width))?;
        self.attention_output.forward(&mixed)
    }

    fn feed(&self, x: &Tensor) -> Result<Tensor> {
        let gated = (silu(&self.gate.forward(x)?)? * self.up.forward(x)?)?;
        self.down.forward(&gated)
    }
}

/// `[count, position + count]`: 0 where a token may look, minus infinity at its future.
fn causal_mask(count: usize, position: usize) -> Result<Tensor> {
    let seen = position + count;
    let entry = |at: usize| if at % seen > position + at / seen { f32::NEG_INFINITY } else { 0.0 };
    Tensor::from_vec((0..count * seen).map(entry).collect::<Vec<f32>>(), (count, seen), &Device::Cpu)
}

fn rotations(head_size: usize, base: f32, context: usize) -> Result<(Tensor, Tensor)> {
    let frequencies: Vec<f32> = (0..head_size).step_by(2).map(|i| base.powf(-(i as f32) / head_size as f32)).collect();
    let frequencies = Tensor::new(frequencies, &Device::Cpu)?.unsqueeze(0)?;
    let positions: Vec<f32> = (0..context).map(|position| position as f32).collect();
    let angles = Tensor::new(positions, &Device::Cpu)?.unsqueeze(D::Minus1)?.matmul(&frequencies)?;
    Ok((angles.cos()?, angles.sin()?))
}
