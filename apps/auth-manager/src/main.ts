import { serve } from '@postern/http';
import { compose } from './compose.ts';
import { readConfig } from './config.ts';

await serve({ name: 'auth-manager', readConfig, compose });
