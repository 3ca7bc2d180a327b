import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

// The page of the sample chat server, which `guildhook serve` starts. It is never deployed.
export default defineConfig({
  root: 'chat',
  plugins: [react()],
  build: {
    outDir: '../../local/guildhook_local/chat_page',
    emptyOutDir: true,
    target: 'es2022',
    // The page's security policy forbids inline code and styles, so all of them are files.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    license: { fileName: 'licenses.md' },
  },
  server: { proxy: { '/chat/': 'http://127.0.0.1:8471' } },
});
