import type { Llm } from '../../../gateway';
import { knows, openLlmGround, type LlmGround, type LlmTenant } from '../../support/llmGround';

/** What a test finds: a vendor without faults, and a process that knows a new tenant's keys. */
export interface Here {
  readonly ground: LlmGround;
  /** Another process, or another tenant, may take the place of the first. */
  llm: Llm;
  tenant: LlmTenant;
}

/** Sees to it that each test of a file finds all this; the ground is one for the file. */
export function onLlmGround(process: Parameters<LlmGround['process']>[0] = {}): Here {
  let ground: LlmGround | undefined;
  let llm: Llm | undefined;
  let tenant: LlmTenant | undefined;

  beforeAll(async () => {
    ground = await openLlmGround();
  });

  afterAll(() => ground?.close());

  beforeEach(async () => {
    const opened = there(ground);
    await opened.faults();
    llm = await opened.process(process);
    tenant = await opened.tenant();
    await knows(llm, tenant);
  });

  return {
    get ground() {
      return there(ground);
    },
    get llm() {
      return there(llm);
    },
    set llm(other) {
      llm = other;
    },
    get tenant() {
      return there(tenant);
    },
    set tenant(other) {
      tenant = other;
    },
  };
}

function there<T>(value: T | undefined): T {
  if (value === undefined) {
    throw new Error('There is nothing before the first test');
  }
  return value;
}
