// Runs clients for tests: a job a line on stdin, as JSON; what the client made of the answer a
// line on stdout. Jobs and answers are those of drive.py.
import { webcrypto } from "node:crypto";
import { createInterface } from "node:readline";

globalThis.crypto ??= webcrypto; // not there in Node 18, Debian 12's, which LangChain takes for granted

const PARAMETERS = {
  type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false,
};
const WEATHER = { name: "weather", description: "The weather of a city.", parameters: PARAMETERS, strict: true };
const TOOL = { type: "function", function: WEATHER };
const user = (job) => [{ role: "user", content: job.question }];

const city = async () => (await import("zod")).z.object({ city: (await import("zod")).z.string() });

// As the built-in model wants it: left to itself it calls nothing.
const forced = (job, choice = "required", name = "tool_choice") => (job.forced ? { [name]: choice } : {});

// The first piece of a stream that is left after it.
async function first(parts, leave) {
  for await (const part of parts) {
    leave?.();
    return part; // leaving the loop ends the iterator
  }
}

async function drained(stream) {
  for await (const _ of stream);
  return stream;
}

// --- official SDKs ------------------------------------------------------------------------------

async function openaiClient(job) {
  const { default: OpenAI } = await import("openai");
  return new OpenAI({ baseURL: job.url + "/v1", apiKey: job.key, timeout: job.timeout_s * 1000, maxRetries: job.retries });
}

async function openaiChat(job) {
  const { zodResponseFormat } = await import("openai/helpers/zod");
  const c = (await openaiClient(job)).chat.completions;
  const fields = { model: job.model, messages: user(job), max_tokens: job.max_tokens };
  if (job.mode === "cancel") return first(await c.create({ ...fields, stream: true }));
  if (job.mode === "tools") Object.assign(fields, { tools: [TOOL] }, forced(job));
  if (job.mode === "structured") fields.response_format = zodResponseFormat(await city(), "City");
  if (job.stream) return (await drained(c.stream({ ...fields, stream_options: { include_usage: true } }))).finalChatCompletion();
  return job.mode === "structured" ? c.parse(fields) : c.create(fields);
}

async function openaiResponses(job) {
  const { zodTextFormat } = await import("openai/helpers/zod");
  const c = (await openaiClient(job)).responses;
  const fields = { model: job.model, input: job.question, max_output_tokens: job.max_tokens };
  if (job.mode === "cancel") return first(await c.create({ ...fields, stream: true }));
  if (job.mode === "tools") Object.assign(fields, { tools: [{ type: "function", ...WEATHER }] }, forced(job));
  if (job.mode === "structured") fields.text = { format: zodTextFormat(await city(), "City") };
  if (job.stream) return (await drained(c.stream(fields))).finalResponse();
  return job.mode === "structured" ? c.parse(fields) : c.create(fields);
}

async function anthropicMessages(job) {
  const { default: Anthropic } = await import("@anthropic-ai/sdk");
  const { zodOutputFormat } = await import("@anthropic-ai/sdk/helpers/zod");
  const c = new Anthropic({ baseURL: job.url, apiKey: job.key, timeout: job.timeout_s * 1000, maxRetries: job.retries }).messages;
  const fields = { model: job.model, messages: user(job), max_tokens: job.max_tokens };
  if (job.mode === "cancel") return first(await c.create({ ...fields, stream: true }));
  const tool = { name: "weather", description: "Of a city.", input_schema: PARAMETERS };
  if (job.mode === "tools") Object.assign(fields, { tools: [tool] }, forced(job, { type: "any" }));
  if (job.mode === "structured") fields.output_config = { format: zodOutputFormat(await city()) };
  if (job.stream) return (await drained(c.stream(fields))).finalMessage();
  return job.mode === "structured" ? c.parse(fields) : c.create(fields);
}

// The lines of an Ollama stream as the answer that would have come whole.
async function joined(parts) {
  let last = {}, content = "", thinking = "";
  const tool_calls = [];
  for await (const p of parts) {
    tool_calls.push(...(p.message.tool_calls ?? []));
    content += p.message.content ?? "";
    thinking += p.message.thinking ?? "";
    last = p;
  }
  return { ...last, message: { ...last.message, content, thinking, tool_calls } };
}

async function ollamaChat(job) {
  const { Ollama } = await import("ollama");
  const c = new Ollama({
    host: job.url, headers: { authorization: "Bearer " + job.key },
    fetch: (url, init) => fetch(url, { ...init, signal: AbortSignal.any([...(init?.signal ? [init.signal] : []), AbortSignal.timeout(job.timeout_s * 1000)]) }),
  });
  const fields = { model: job.model, messages: user(job), options: { num_predict: job.max_tokens } };
  if (job.mode === "cancel") {
    const parts = await c.chat({ ...fields, stream: true });
    return first(parts, () => parts.abort()).catch((e) => e);
  }
  if (job.mode === "tools") fields.tools = [TOOL];
  if (job.mode === "structured") fields.format = PARAMETERS;
  const answer = job.stream ? await joined(await c.chat({ ...fields, stream: true })) : await c.chat({ ...fields, stream: false });
  return job.mode === "structured" ? { ...answer, parsed: (await city()).parse(JSON.parse(answer.message.content)) } : answer;
}

// --- frameworks ---------------------------------------------------------------------------------

async function langchain(job) {
  const { ChatOpenAI } = await import("@langchain/openai");
  const c = new ChatOpenAI({
    configuration: { baseURL: job.url + "/v1" }, apiKey: job.key, model: job.model, timeout: job.timeout_s * 1000,
    maxRetries: job.retries, maxTokens: job.max_tokens, useResponsesApi: false,
  });
  if (job.mode === "cancel") {
    const leave = new AbortController();
    return first(await c.stream(job.question, { signal: leave.signal }), () => leave.abort());
  }
  const asked = job.mode === "tools" ? c.bindTools([TOOL], forced(job))
    : job.mode === "structured" ? c.withStructuredOutput(await city(), { method: "jsonSchema", includeRaw: !job.stream }) : c;
  if (!job.stream) return asked.invoke(job.question);
  let total;
  for await (const part of await asked.stream(job.question)) total = part.concat && total ? total.concat(part) : part;
  return total;
}

// What generateText and streamText have in common.
async function aiAnswer(r) {
  const [text, reasoning, toolCalls, finishReason, usage, response, warnings, sources] =
    await Promise.all([r.text, r.reasoningText, r.toolCalls, r.finishReason, r.usage, r.response, r.warnings, r.sources]);
  return { text, reasoning, toolCalls, finishReason, usage, model: response.modelId, warnings, sources };
}

async function ai(job, which) {
  const { generateText, streamText, generateObject, streamObject, tool, jsonSchema } = await import("ai");
  const { createOpenAI } = await import("@ai-sdk/openai");
  const model = createOpenAI({ baseURL: job.url + "/v1", apiKey: job.key })[which](job.model);
  const fields = {
    model, prompt: job.question, maxOutputTokens: job.max_tokens, maxRetries: job.retries, abortSignal: AbortSignal.timeout(job.timeout_s * 1000),
  };
  if (job.mode === "cancel") {
    const leave = new AbortController();
    const r = streamText({ ...fields, abortSignal: leave.signal, onError: () => {} });
    return first(r.textStream, () => leave.abort());
  }
  if (job.mode === "structured") {
    const schema = await city();
    const r = job.stream ? streamObject({ ...fields, schema, onError: () => {} }) : await generateObject({ ...fields, schema });
    if (job.stream) for await (const part of r.fullStream) if (part.type === "error") throw part.error;
    return { object: await r.object, finishReason: await r.finishReason, usage: await r.usage };
  }
  const weather = tool({ description: "Of a city.", inputSchema: jsonSchema(PARAMETERS) });
  if (job.mode === "tools") Object.assign(fields, { tools: { weather } }, forced(job, "required", "toolChoice"));
  if (!job.stream) return aiAnswer(await generateText(fields));
  const r = streamText({ ...fields, onError: () => {} });
  for await (const part of r.fullStream) if (part.type === "error") throw part.error;
  return aiAnswer(r);
}

const clients = {
  "openai.chat": openaiChat,
  "openai.responses": openaiResponses,
  anthropic: anthropicMessages,
  ollama: ollamaChat,
  langchain,
  "ai.chat": (job) => ai(job, "chat"),
  "ai.responses": (job) => ai(job, "responses"),
};

// The loser of a race, or a stream that was left: its error is nobody's.
process.on("unhandledRejection", () => {});
console.log = console.info = console.warn = console.error;

for await (const line of createInterface({ input: process.stdin })) {
  const job = JSON.parse(line);
  let result;
  try {
    result = { value: (await clients[job.client](job)) ?? null };
  } catch (e) {
    const last = e.lastError ?? e; // of several tries
    result = { error: { name: e.name ?? "Error", status: last.status ?? last.statusCode ?? last.status_code ?? null, message: String(last.message ?? last) } };
  }
  process.stdout.write(JSON.stringify(result) + "\n");
}
