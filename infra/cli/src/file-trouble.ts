const troubles: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or folder',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of the path is no folder',
  EEXIST: 'it is there already',
  ENOSPC: 'no space is left',
  EROFS: 'the file system is read-only',
};

/** What the file system said, in words. */
export const fileTrouble = (error: unknown): string => {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return troubles[code] ?? (code || 'it cannot be used');
};

/** Whether an error is the file system's about one of its paths, and not that of a program that could not be started. */
export const isFileTrouble = (error: unknown): error is NodeJS.ErrnoException & { path: string } => {
  const { path, syscall } = error as NodeJS.ErrnoException;
  return typeof path === 'string' && syscall !== undefined && !/^(spawn|connect|listen)/.test(syscall);
};
