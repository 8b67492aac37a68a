export { startDependencies } from './bundle/start-dependencies.ts';
export { execForm, readDockerfile } from './docker-file.ts';
