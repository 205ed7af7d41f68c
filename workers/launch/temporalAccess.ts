import { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time';
import type { Config } from '../../lib/config';
import { errorCode } from '../../lib/errorCode';
import { waitUntil } from './dataFolder';
import { customSearchAttributes } from './temporalSettings';

const connectTimeoutMs = 5000;
const settleTimeoutMs = 120_000;
const retention = '30 days';

type Access = Pick<Config, 'TEMPORAL_NAMESPACE' | 'TEMPORAL_TLS' | 'TEMPORAL_API_KEY'> & {
  address: string;
};

/** What is wrong with TEMPORAL_ADDRESS, as a sentence that says what to do. */
export async function temporalProblem(access: Access): Promise<string | undefined> {
  try {
    const connection = await connect(access);
    await connection.close();
    return undefined;
  } catch (error) {
    return (
      `TEMPORAL_ADDRESS: no Temporal server answers at ${access.address} (${messageOf(error)}). Start it, correct the address ` +
      '(TEMPORAL_TLS, TEMPORAL_API_KEY), or unset TEMPORAL_ADDRESS to use the development server.'
    );
  }
}

/**
 * Makes sure that the namespace exists and knows our search attributes, adding what is missing; safe
 * to repeat. Throws a sentence with the commands to run when this user may not.
 */
export async function prepareNamespace(access: Access): Promise<void> {
  const connection = await connect(access);
  const namespace = access.TEMPORAL_NAMESPACE;
  try {
    await ensureNamespace(connection, namespace);
    await ensureSearchAttributes(connection, namespace);
  } finally {
    await connection.close();
  }
}

async function connect(access: Access): Promise<Connection> {
  return Connection.connect({
    address: access.address,
    tls: access.TEMPORAL_TLS || undefined,
    apiKey: access.TEMPORAL_API_KEY,
    connectTimeout: connectTimeoutMs,
  });
}

async function ensureNamespace(connection: Connection, namespace: string): Promise<void> {
  if (await hasNamespace(connection, namespace)) {
    return;
  }
  try {
    await connection.workflowService.registerNamespace({
      namespace,
      description: 'Carillon',
      workflowExecutionRetentionPeriod: msToTs(retention),
    });
  } catch (error) {
    throw new Error(
      `The Temporal server has no namespace "${namespace}", and it could not be created (${messageOf(error)}). ` +
        `Let an administrator run: temporal operator namespace create -n ${namespace} --retention 30d`,
      { cause: error },
    );
  }
  await waitUntil(() => hasNamespace(connection, namespace), settleTimeoutMs);
}

async function hasNamespace(connection: Connection, namespace: string): Promise<boolean> {
  try {
    await connection.workflowService.describeNamespace({ namespace });
    return true;
  } catch (error) {
    if (isNotFound(error)) {
      return false;
    }
    throw error;
  }
}

async function ensureSearchAttributes(connection: Connection, namespace: string): Promise<void> {
  let lastProblem = 'they did not appear';
  const complete = async () => {
    try {
      const missing = await missingSearchAttributes(connection, namespace);
      if (missing.length === 0) {
        return await isKnownToAll(connection, namespace);
      }
      await connection.operatorService.addSearchAttributes({
        namespace,
        searchAttributes: Object.fromEntries(
          missing.map(([name, kind]) => [name, indexedTypes[kind]]),
        ),
      });
      return isKnownToAll(connection, namespace);
    } catch (error) {
      lastProblem = messageOf(error);
      // A namespace made a moment ago is not known everywhere yet.
      if (isNotFound(error)) {
        return false;
      }
      throw refusal(namespace, lastProblem, error);
    }
  };
  if (!(await waitUntil(complete, settleTimeoutMs))) {
    throw refusal(namespace, lastProblem, undefined);
  }
}

/**
 * Whether the part of the server that starts workflows knows the attributes too: it remembers what
 * it knew for up to a minute, and refuses every start until then.
 */
async function isKnownToAll(connection: Connection, namespace: string): Promise<boolean> {
  try {
    await connection.workflowService.countWorkflowExecutions({
      namespace,
      query: customSearchAttributes.map(([name]) => `${name} is not null`).join(' and '),
    });
    return true;
  } catch (error) {
    if (isInvalidArgument(error)) {
      return false;
    }
    throw error;
  }
}

async function missingSearchAttributes(connection: Connection, namespace: string) {
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  return customSearchAttributes.filter(([name]) => customAttributes?.[name] === undefined);
}

function refusal(namespace: string, reason: string, cause: unknown): Error {
  const flags = customSearchAttributes
    .map(([name, kind]) => `--name ${name} --type ${kind}`)
    .join(' ');
  return new Error(
    `The namespace "${namespace}" lacks search attributes and they could not be added (${reason}). ` +
      `Let an administrator run: temporal operator search-attribute create -n ${namespace} ${flags}`,
    { cause },
  );
}

// temporal.api.enums.v1.IndexedValueType
const indexedTypes = {
  Text: 1,
  Keyword: 2,
  Int: 3,
  Double: 4,
  Bool: 5,
  Datetime: 6,
  KeywordList: 7,
} as const;

const grpcNotFound = '5';
const grpcInvalidArgument = '3';

function isNotFound(error: unknown): boolean {
  return errorCode(error) === grpcNotFound;
}

function isInvalidArgument(error: unknown): boolean {
  return errorCode(error) === grpcInvalidArgument;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
