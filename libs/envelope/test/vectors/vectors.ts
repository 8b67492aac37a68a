/** What `messages.json` holds; bytes in base64. */
export type Vectors = {
  source: string;
  keys: { id: string; version: string; key: string }[];
  messages: { key: number; context: Record<string, string>; frameLength: number; plaintext: string; message: string }[];
};
