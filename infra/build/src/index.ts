export { execForm, readDockerfile } from './docker-file.ts';
