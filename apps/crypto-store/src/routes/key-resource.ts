/** What an event about a key names it as: by its opaque id. */
export const keyResource = ({ branchKeyId }: { branchKeyId: string }) => ({ type: 'key', id: branchKeyId });
