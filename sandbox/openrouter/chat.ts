import { answerTo, tokensOf, type Answer } from './answers/answer';
import type { KeyState } from './accounts';
import { costMicros, type SandboxModel } from './catalogue';
import { errorTypeOf, messageOf } from './errors';
import type { Exchange } from './exchange';
import type { Fate, FaultRule } from './faults';
import { newGenerationId, usageBody, type Generations } from './generations';
import type { ChatRequest } from './readChat';

const PIECE_CHARS = 18;
const BROKEN_AFTER_CHUNKS = 2;
const LATE_MS = 60_000;
const BREAKING = new Set<string>(['midStreamError', 'midStreamSilence', 'midStreamCut']);

export interface ChatTurn {
  exchange: Exchange;
  key: KeyState;
  model: SandboxModel;
  request: ChatRequest;
  fate: Fate;
  generations: Generations;
  seed: string;
  turn: number;
}

/** Answers a chat that is paid for, or fails in the middle as its fate says. */
export async function answerChat(turn: ChatTurn): Promise<void> {
  const { exchange, model, request, fate } = turn;
  const isWrong = fate.rule?.fault === 'invalidJson';
  const answer = answerTo(request, {
    seed: turn.seed,
    turn: turn.turn,
    model: model.id,
    isWrong,
  });
  const head = { id: newGenerationId(), model: model.id, provider: model.provider };
  await (request.isStream ? stream : whole)(turn, answer, {
    ...head,
    created: Math.floor(exchange.call.at / 1_000),
  });
}

interface Head {
  id: string;
  model: string;
  provider: string;
  created: number;
}

async function whole(turn: ChatTurn, answer: Answer, head: Head): Promise<void> {
  const { exchange, fate } = turn;
  const { rule } = fate;
  const headers = { 'x-generation-id': head.id };
  const late = rule?.fault === 'firstTokenLate' && fate.latencyMs === 0 ? LATE_MS : fate.latencyMs;
  if (late > 0 && !(await exchange.wait(late))) {
    return;
  }
  const completion = (content: string | null, finish: string, more?: object) => ({
    ...head,
    object: 'chat.completion',
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          content,
          refusal: null,
          reasoning: null,
          ...(answer.toolCall && finish === 'tool_calls'
            ? { tool_calls: [toolCallBody(answer.toolCall)] }
            : {}),
        },
        finish_reason: finish,
        native_finish_reason: finish,
        logprobs: null,
        ...more,
      },
    ],
  });
  const nothing = usageBody({ prompt: answer.tokens.prompt, completion: 0, cached: 0 }, 0);
  if (rule?.fault === 'errorInBody') {
    exchange.answer(200, { error: errorBody(rule) }, headers);
    return;
  }
  if (rule?.fault === 'errorFinish') {
    exchange.answer(200, completion('', 'error', { error: errorBody(rule) }), headers);
    return;
  }
  if (rule?.fault === 'emptyContent') {
    exchange.answer(200, { ...completion('', 'stop'), usage: nothing }, headers);
    return;
  }
  if (rule?.fault === 'cutBeforeFirstChunk') {
    beginBody(exchange, headers, '');
    exchange.cut();
    return;
  }
  const content = contentOf(answer);
  if (rule?.fault === 'midStreamError') {
    const half = content.slice(0, Math.ceil(content.length / 2));
    const { usage } = bill(turn, answer, head, { chars: half.length, finish: 'error' });
    const broken = completion(half, 'error', { error: errorBody(rule) });
    exchange.answer(200, { ...broken, usage }, headers);
    return;
  }
  const { usage } = bill(turn, answer, head, { chars: content.length, finish: answer.finish });
  const body = { ...completion(answer.text, answer.finish), usage };
  if (rule?.fault === 'midStreamSilence' || rule?.fault === 'midStreamCut') {
    const text = JSON.stringify(body);
    beginBody(exchange, headers, text.slice(0, text.length / 2));
    if (rule.fault === 'midStreamCut') {
      exchange.cut();
    } else {
      exchange.hold();
    }
    return;
  }
  exchange.answer(200, body, headers);
}

async function stream(turn: ChatTurn, answer: Answer, head: Head): Promise<void> {
  const { exchange, fate } = turn;
  const { rule } = fate;
  exchange.beginStream({ 'x-generation-id': head.id });
  if (rule?.fault === 'cutBeforeFirstChunk') {
    exchange.cut();
    return;
  }
  const late = rule?.fault === 'firstTokenLate' && fate.latencyMs === 0 ? LATE_MS : fate.latencyMs;
  if (late > 0 && !(await exchange.waitWithComments(late))) {
    return;
  }
  const chunk = (delta: object, finish: string | null, more?: object) =>
    `data: ${JSON.stringify({
      ...head,
      object: 'chat.completion.chunk',
      ...more,
      choices: [
        { index: 0, delta, finish_reason: finish, native_finish_reason: finish, logprobs: null },
      ],
    })}\n\n`;
  if (rule?.fault === 'errorInBody') {
    exchange.write(`data: ${JSON.stringify({ error: errorBody(rule) })}\n\n`);
    exchange.end();
    return;
  }
  if (rule?.fault === 'errorFinish') {
    exchange.write(chunk({ content: '' }, 'error', { error: errorBody(rule) }));
    exchange.end();
    return;
  }
  const isEmpty = rule?.fault === 'emptyContent';
  const deltas = isEmpty ? [] : deltasOf(answer);
  const breaks = breakOf(rule);
  const shown = breaks === null ? deltas : deltas.slice(0, breaks);
  let chars = 0;
  for (const { delta, length } of shown) {
    if (fate.chunkDelayMs > 0 && chars > 0 && !(await exchange.wait(fate.chunkDelayMs))) {
      bill(turn, answer, head, { chars, finish: null });
      return;
    }
    exchange.write(chunk(delta, null));
    chars += length;
  }
  const finish =
    breaks === null ? answer.finish : rule?.fault === 'midStreamError' ? 'error' : null;
  const usage = isEmpty
    ? usageBody({ prompt: answer.tokens.prompt, completion: 0, cached: 0 }, 0)
    : bill(turn, answer, head, { chars, finish }).usage;
  if (rule?.fault === 'midStreamError') {
    exchange.write(chunk({ content: '' }, 'error', { error: errorBody(rule) }));
    exchange.end();
    return;
  }
  if (rule?.fault === 'midStreamSilence') {
    exchange.hold();
    return;
  }
  if (rule?.fault === 'midStreamCut') {
    exchange.cut();
    return;
  }
  if (rule?.fault === 'noDone') {
    exchange.end();
    return;
  }
  const end = chunk({ role: 'assistant', content: '' }, answer.finish);
  const last = `data: ${JSON.stringify({ ...head, object: 'chat.completion.chunk', choices: [], usage })}\n\n`;
  exchange.write(`${end}${last}data: [DONE]\n\n`);
  exchange.end();
}

// After how many pieces it breaks; null where it does not.
function breakOf(rule: FaultRule | null): number | null {
  if (rule?.fault === 'noDone') {
    // All of the text comes, and then an end that is none.
    return rule.afterChunks ?? Infinity;
  }
  return rule?.fault !== undefined && BREAKING.has(rule.fault)
    ? (rule.afterChunks ?? BROKEN_AFTER_CHUNKS)
    : null;
}

function deltasOf(answer: Answer): { delta: object; length: number }[] {
  const { text, toolCall } = answer;
  if (toolCall) {
    const { id, name } = toolCall;
    const called = { index: 0, id, type: 'function', function: { name, arguments: '' } };
    return [
      { delta: { role: 'assistant', content: null, tool_calls: [called] }, length: name.length },
      ...pieces(toolCall.arguments).map((piece) => ({
        delta: { tool_calls: [{ index: 0, function: { arguments: piece } }] },
        length: piece.length,
      })),
    ];
  }
  return pieces(text ?? '').map((content) => ({
    delta: { role: 'assistant', content },
    length: content.length,
  }));
}

function pieces(text: string): string[] {
  const made: string[] = [];
  let at = 0;
  while (at < text.length) {
    const space = text.indexOf(' ', at + PIECE_CHARS);
    const end = space === -1 || space > at + 2 * PIECE_CHARS ? at + 2 * PIECE_CHARS : space;
    made.push(text.slice(at, end));
    at = end;
  }
  return made;
}

function bill(
  { key, exchange, model, request, generations }: ChatTurn,
  { tokens, text, toolCall }: Answer,
  { id }: Head,
  { chars, finish }: { chars: number; finish: string | null },
): { usage: ReturnType<typeof usageBody> } {
  const all = contentOf({ text, toolCall }).length;
  const completion = chars >= all ? tokens.completion : tokensOf(chars);
  const used = { ...tokens, completion };
  const cost = costMicros(model, used);
  generations.bill(key, exchange.call, {
    id,
    model,
    isStream: request.isStream,
    isCancelled: finish === null,
    finish,
    tokens: used,
    costMicros: cost,
  });
  return { usage: usageBody(used, cost) };
}

function contentOf({ text, toolCall }: Pick<Answer, 'text' | 'toolCall'>): string {
  return toolCall ? toolCall.name + toolCall.arguments : (text ?? '');
}

function toolCallBody({ id, name, arguments: args }: NonNullable<Answer['toolCall']>) {
  return { index: 0, id, type: 'function', function: { name, arguments: args } };
}

function errorBody(rule: FaultRule) {
  const code = rule.code ?? 502;
  return {
    code,
    message: rule.message ?? messageOf(code),
    ...(rule.typed === false ? {} : { metadata: { error_type: errorTypeOf(code) } }),
  };
}

function beginBody(exchange: Exchange, headers: Record<string, string>, text: string): void {
  exchange.call.status = 200;
  exchange.response.writeHead(200, { ...headers, 'content-type': 'application/json' });
  exchange.response.flushHeaders();
  exchange.write(text === '' ? '\n' : text);
}
