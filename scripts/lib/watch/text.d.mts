export function asText(value: unknown): string;
export function safeLines(text: unknown): string[];
export function safeLine(text: unknown): string;
export function width(line: string): number;
export function fit(line: string, columns: number): string;
export function safeJson(value: unknown): string;
