/** Vectors, pictures, speech, transcripts and judgements by the SDK, and what each of them costs. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import OpenAI, { toFile } from "openai";
import { User, USD } from "./api.mjs";

/** What the one call of a user costs, and what it was charged for. */
async function charge(user) {
  const { balance, charges } = await user.settled(1);
  return { nanos: USD - balance, pieces: charges[0].pieces };
}

describe("modalities", { concurrency: 4 }, () => {
  it("vectors are numbers although the SDK asks for base64", async () => {
    const user = await User.create();
    const client = await user.client();
    const answer = await client.embeddings.create({ model: "text-embedding-3-small", input: ["a", "four"], dimensions: 4 });
    assert.deepEqual(answer.data.map(({ embedding }) => [...embedding]), [[0, 1, 0, 0], [1, 4, 0, 0]]);
    assert.equal((await charge(user)).nanos, 20n);
  });

  it("pictures come as base64 and cost each, new ones and changed ones", async () => {
    const user = await User.create();
    const client = await user.client();
    const { data } = await client.images.generate({ model: "compat-draw", prompt: "a cat", n: 2 });
    assert.deepEqual(data.map(({ b64_json }) => Buffer.from(b64_json, "base64").toString()), ["a cat", "a cat"]);
    assert.deepEqual(await charge(user), { nanos: 80_000_000n, pieces: { images: 2 } });
    const image = await toFile(Buffer.from("a picture"), "a.png", { type: "image/png" });
    const changed = await client.images.edit({ image, prompt: "a hat", model: "compat-draw" });
    assert.equal(Buffer.from(changed.data[0].b64_json, "base64").toString(), "a hat");
  });

  it("speech is streamed and costs its characters", async () => {
    const user = await User.create();
    const client = await user.client();
    const input = "[[say good morning]]";
    const answer = await client.audio.speech.create({ model: "tts-1", voice: "alloy", input });
    assert.equal(answer.headers.get("content-type"), "audio/mpeg");
    assert.equal(Buffer.from(await answer.arrayBuffer()).toString(), "good morning");
    assert.deepEqual(await charge(user), { nanos: BigInt(input.length) * 15_000n, pieces: { characters: input.length } });
  });

  it("a recording is written down whichever part of its form comes first, and costs its seconds", async () => {
    const user = await User.create();
    const client = await user.client();
    const bytes = 6 << 20;
    const file = await toFile(Buffer.alloc(bytes), "a.wav");
    const heard = await client.audio.transcriptions.create({ file, model: "whisper-1" });
    assert.equal(heard.text, `heard ${bytes} bytes`);
    assert.deepEqual(await charge(user), { nanos: 200_000n, pieces: { sound_ms: 2000 } });
  });

  it("texts are judged, and what is wrong is the SDK's own error", async () => {
    const client = await (await User.create()).client();
    const { results } = await client.moderations.create({ input: ["peace", "harm"] });
    assert.deepEqual(results.map(({ flagged }) => flagged), [false, true]);
    const call = client.embeddings.create({ model: "compat-claude", input: "a" });
    await assert.rejects(call, (error) => error instanceof OpenAI.BadRequestError && error.code === "unsupported_operation");
  });
});
