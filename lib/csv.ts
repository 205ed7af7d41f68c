import { pipeline, type Readable } from 'node:stream';
import { TextDecoder } from 'node:util';
import { CsvError, parse } from 'csv-parse';
import { AppError, invalidField } from '../domain/errors';

/** One record of a CSV file. */
export interface CsvRow {
  /** As a spreadsheet counts: the header is row 1, empty rows count, a quoted line break does not. */
  row: number;
  cells: string[];
}

// A row of real data has a few kilobytes; a quote that is never closed would swallow the whole file.
const maxRowBytes = 256 * 1024;

/**
 * The records of a CSV file (RFC 4180, UTF-8 with or without BOM, any line ends), one by one and in
 * little memory whatever its size. What is no such file is refused as an invalid `file`.
 */
export async function* readCsv(bytes: Readable): AsyncGenerator<CsvRow> {
  const parser = parse({
    info: true,
    relax_column_count: true,
    // A quote inside an unquoted cell (5" pipe) is text; only one that never closes is an error.
    relax_quotes: true,
    skip_empty_lines: true,
    record_delimiter: ['\r\n', '\n', '\r'],
    max_record_size: maxRowBytes,
  });
  // Whatever fails in the pipeline reaches the loop below through the parser.
  pipeline(bytes, decodeUtf8, parser, () => {});
  try {
    for await (const { info, record } of parser) {
      yield { row: info.records + info.empty_lines, cells: record };
    }
  } catch (error) {
    throw error instanceof CsvError ? brokenCsv(error, parser.info.records) : error;
  }
}

async function* decodeUtf8(bytes: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let position = 0;
  for await (const chunk of bytes) {
    if (position === 0) {
      refuseOtherFormats(chunk);
    }
    yield decode(decoder, chunk, position);
    position += chunk.length;
  }
  yield decode(decoder, undefined, position);
}

function decode(decoder: TextDecoder, chunk: Buffer | undefined, position: number): string {
  try {
    return decoder.decode(chunk, { stream: chunk !== undefined });
  } catch {
    // TypeError is its only answer to bytes that are no UTF-8.
    throw invalidField(
      'file',
      'notUtf8',
      `Is not UTF-8: there are other bytes after byte ${position.toLocaleString('en')}. Export it as "CSV UTF-8".`,
    );
  }
}

function refuseOtherFormats(start: Buffer): void {
  if (start.subarray(0, 4).equals(Buffer.from('PK\u0003\u0004'))) {
    throw new AppError(
      'unsupportedMediaType',
      'unsupportedMediaType',
      'The file is a workbook or an archive; export the sheet as "CSV UTF-8".',
    );
  }
  const mark = start.readUIntBE(0, Math.min(2, start.length));
  if (mark === 0xfffe || mark === 0xfeff) {
    throw invalidField('file', 'notUtf8', 'Is UTF-16; export it as "CSV UTF-8".');
  }
}

function brokenCsv(error: CsvError, rowsBefore: number): AppError {
  const row = `row ${(rowsBefore + 1).toLocaleString('en')}`;
  if (error.code === 'CSV_QUOTE_NOT_CLOSED') {
    return invalidField('file', 'quoteNotClosed', `A quote opened in ${row} is never closed.`);
  }
  if (error.code === 'CSV_MAX_RECORD_SIZE') {
    return invalidField(
      'file',
      'rowTooLarge',
      `The ${row} has more than ${maxRowBytes.toLocaleString('en')} bytes; is a quote not closed?`,
    );
  }
  return invalidField('file', 'malformedCsv', `Is not CSV from ${row} on: ${error.message}`);
}
