import { type Adapter, type AdapterPayload } from 'oidc-provider';

import { type Store } from './store.ts';

/** Front-channel state of oidc-provider (its sessions, interactions, pushed requests, codes) in our store. */
export function storeAdapter(store: Store, clientMetadata: (clientId: string) => AdapterPayload | undefined) {
  return (model: string): Adapter => {
    const key = (id: string) => `${model}:${id}`;
    return {
      upsert: async (id, payload, expiresIn) => {
        store.set(key(id), payload, expiresIn);
        if (model === 'Session' && payload.uid) store.set(`SessionUid:${payload.uid}`, id, expiresIn);
      },
      find: async (id) => (model === 'Client' ? clientMetadata(id) : store.get<AdapterPayload>(key(id))),
      findByUid: async (uid) => {
        const id = store.get<string>(`SessionUid:${uid}`);
        return id === undefined ? undefined : store.get<AdapterPayload>(key(id));
      },
      findByUserCode: async () => undefined,
      consume: async (id) => {
        const payload = store.get<AdapterPayload>(key(id));
        if (payload) store.set(key(id), { ...payload, consumed: true }, 3600);
      },
      destroy: async (id) => store.delete(key(id)),
      revokeByGrantId: async () => undefined,
    };
  };
}
