import type { ChatRequest, ChatTool } from '../readChat';
import { readBrief, type Brief } from './brief';
import { writeReply } from './copy';
import { diceOf, hashOf } from './dice';
import { valueFor } from './schemaValue';

const CHARS_A_TOKEN = 4;

/** What a model says. */
export interface Answer {
  text: string | null;
  toolCall: { id: string; name: string; arguments: string } | null;
  finish: 'stop' | 'length' | 'tool_calls';
  tokens: { prompt: number; completion: number; cached: number };
}

export interface AnswerOptions {
  seed: string;
  /** Makes warm answers differ from call to call. */
  turn: number;
  model: string;
  /** Whether a schema is missed. */
  isWrong: boolean;
}

/** Counts as a model would, give or take. */
export function tokensOf(chars: number): number {
  return Math.ceil(chars / CHARS_A_TOKEN);
}

/** The answer to a request: the same for the same seed and words, unless its temperature is above 0. */
export function answerTo(request: ChatRequest, options: AnswerOptions): Answer {
  const warmth = (request.temperature ?? 0) > 0 ? String(options.turn) : '';
  const { question, system, afterTool } = request;
  const said = `${options.seed}/${options.model}/${warmth}/${hashOf(system)}/${question}/${afterTool ?? ''}`;
  const dice = diceOf(said);
  const brief = readBrief(system, question);
  const prompt = tokensOf(request.promptChars) + 4;
  const cached = request.cachesPrompt ? Math.floor(prompt * 0.8) : 0;
  const tool = afterTool === null ? chosenTool(request, brief) : null;
  if (tool) {
    const args = JSON.stringify(valueFor(tool.parameters ?? {}, brief, dice));
    return {
      text: null,
      toolCall: { id: `call_${dice.between(1e8, 1e9)}`, name: tool.name, arguments: args },
      finish: 'tool_calls',
      tokens: { prompt, completion: tokensOf(args.length + tool.name.length), cached },
    };
  }
  const whole = options.isWrong ? '{"unexpected": [' : writeText(request, brief, dice);
  const { text, finish } = cut(whole, request);
  return {
    text,
    toolCall: null,
    finish,
    tokens: { prompt, completion: Math.max(1, tokensOf(text.length)), cached },
  };
}

function writeText(request: ChatRequest, brief: Brief, dice: ReturnType<typeof diceOf>): string {
  if (request.schema !== null) {
    return JSON.stringify(valueFor(request.schema, brief, dice));
  }
  if (request.isJson) {
    return JSON.stringify({ answer: writeReply(brief, dice) });
  }
  return request.afterTool === null
    ? writeReply(brief, dice)
    : `${request.afterTool.slice(0, 200)}\n\n${writeReply(brief, dice)}`;
}

function cut(
  whole: string,
  { maxTokens, stop }: ChatRequest,
): Pick<Answer, 'finish'> & { text: string } {
  let text = whole;
  for (const mark of stop) {
    const at = text.indexOf(mark);
    text = at === -1 ? text : text.slice(0, at);
  }
  const most = maxTokens === null ? Infinity : maxTokens * CHARS_A_TOKEN;
  return text.length > most
    ? { text: text.slice(0, most), finish: 'length' }
    : { text, finish: 'stop' };
}

// A tool is called where one has to be, or where the prompt speaks of what it does.
function chosenTool({ tools, toolChoice, question }: ChatRequest, brief: Brief): ChatTool | null {
  if (toolChoice === 'none' || tools.length === 0) {
    return null;
  }
  if (toolChoice !== null && toolChoice !== 'auto') {
    return (
      (toolChoice === 'any' ? mentioned(tools, question, brief) : undefined) ??
      tools.find(({ name }) => name === toolChoice) ??
      tools[0] ??
      null
    );
  }
  return mentioned(tools, question, brief) ?? null;
}

function mentioned(
  tools: readonly ChatTool[],
  question: string,
  { words }: Brief,
): ChatTool | undefined {
  const asked = question.toLowerCase();
  return tools.find(({ name, description }) => {
    const about = `${name.replaceAll(/[_-]/g, ' ')} ${description}`.toLowerCase();
    return (
      asked.includes(name.toLowerCase()) ||
      words.filter((word) => about.includes(word.toLowerCase())).length >= 2
    );
  });
}
