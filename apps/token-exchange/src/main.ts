import { serve } from '@postern/http';
import { compose } from './compose.ts';
import { readConfig } from './config.ts';

await serve({ name: 'token-exchange', readConfig, compose });
