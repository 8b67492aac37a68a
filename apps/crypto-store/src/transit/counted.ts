/** The same pieces, each one's length told. */
export async function* counted<Piece extends Uint8Array>(
  pieces: AsyncIterable<Piece>,
  count: (bytes: number) => void,
): AsyncGenerator<Piece, void> {
  for await (const piece of pieces) {
    count(piece.length);
    yield piece;
  }
}
