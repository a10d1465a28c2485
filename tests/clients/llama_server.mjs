// A small stand-in for llama-server on top of node-llama-cpp: the same flags and the four routes that the tests use.
// It runs the same llama.cpp library; only the HTTP in front of it is this file.
import { createServer } from "node:http"
import { getLlama } from "node-llama-cpp"

const flags = parseFlags(process.argv.slice(2))
const llama = await getLlama({ build: "never", gpu: false, logLevel: "error", skipDownload: true })
if (flags.has("--version")) {
    console.log(`version: ${llama.llamaCppRelease?.release ?? "unknown"} (node-llama-cpp)`)
    process.exit(0)
}
const model = await llama.loadModel({ modelPath: flags.get("--model") })
const context = await model.createContext({
    contextSize: Number(flags.get("--ctx-size")),
    threads: Number(flags.get("--threads")),
    flashAttention: false,
    experimentalKvCacheKeyType: flags.get("--cache-type-k").toUpperCase(),
    experimentalKvCacheValueType: flags.get("--cache-type-v").toUpperCase()
})
const sequence = context.getSequence()
const endTokens = [...model.iterateAllTokens()].filter((token) => model.isEogToken(token))

const routes = {
    "/health": async () => ({ status: "ok" }),
    "/tokenize": async ({ content, parse_special }) => ({ tokens: model.tokenize(content, parse_special) }),
    "/detokenize": async ({ tokens }) => ({ content: model.detokenize(tokens, true) }),
    "/completion": complete
}
const server = createServer(async (request, response) => {
    try {
        let body = ""
        for await (const part of request) body += part
        const answer = await routes[request.url](body ? JSON.parse(body) : {})
        response.end(JSON.stringify(answer))
    } catch (error) {
        response.statusCode = 500
        response.end(JSON.stringify({ error: String(error.stack ?? error) }))
    }
})
server.listen(Number(flags.get("--port")), flags.get("--host"))

function parseFlags(words) {
    const found = new Map()
    for (let i = 0; i < words.length; i++) {
        const takesValue = i + 1 < words.length && !words[i + 1].startsWith("--")
        found.set(words[i], takesValue ? words[++i] : true)
    }
    return found
}

async function complete({ prompt, n_predict, ignore_eos, logit_bias = [], n_probs = 0 }) {
    await sequence.clearHistory()
    const bias = new Map([...(ignore_eos ? endTokens.map((token) => [token, -Infinity]) : []), ...logit_bias])
    const tokens = []
    const probabilities = []
    let pending = typeof prompt === "string" ? promptTokens(prompt) : prompt
    const asked = pending.length + n_predict
    if (asked > context.contextSize) throw new Error(`${asked} tokens exceed the context of ${context.contextSize}`)
    while (tokens.length < n_predict) {
        const logits = await nextLogits(pending)
        let best = -1
        let bestScore = -Infinity
        for (const [token, logit] of logits) {
            const score = logit + (bias.get(token) ?? 0)
            if (score > bestScore) [best, bestScore] = [token, score]
        }
        tokens.push(best)
        if (n_probs > 0) probabilities.push({ id: best, top_logprobs: likeliest(logits, n_probs) })
        pending = [best]
    }
    return {
        tokens,
        completion_probabilities: probabilities,
        generation_settings: { logit_bias: ignore_eos ? endTokens.map((token) => ({ token })) : [] }
    }
}

function promptTokens(text) {
    const opening = model.tokens.shouldPrependBosToken ? [model.tokens.bos] : []
    return [...opening, ...model.tokenize(text, true)]
}

async function nextLogits(tokens) {
    const last = [tokens.at(-1), { generateNext: { logits: true } }]
    const results = await sequence.controlledEvaluate([...tokens.slice(0, -1), last])
    return [...results.at(-1).next.logits]
}

function likeliest(logits, count) {
    const most = logits.reduce((high, [, logit]) => Math.max(high, logit), -Infinity)
    const logTotal = most + Math.log(logits.reduce((sum, [, logit]) => sum + Math.exp(logit - most), 0))
    const sorted = logits.toSorted((a, b) => b[1] - a[1]).slice(0, count)
    return sorted.map(([id, logit]) => ({ id, logprob: logit - logTotal }))
}
