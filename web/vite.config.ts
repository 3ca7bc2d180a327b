import optimizeLocales from '@react-aria/optimize-locales-plugin';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

// Two entries of the admin page. The chat page of `guildhook serve` has a configuration of its own.
export default defineConfig({
  // The page is in English, so the other languages of its widgets are left out.
  plugins: [react(), { ...optimizeLocales.vite({ locales: ['en-GB', 'en-US'] }), enforce: 'pre' }],
  build: {
    outDir: '../functions/admin_api/page',
    emptyOutDir: true,
    target: 'es2022',
    // The page's security policy forbids inline code and styles, so all of them are files.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    license: { fileName: 'licenses.md' },
    rolldownOptions: { input: ['index.html', 'api.html'] },
    // The page of the API consists of one large library, which only that page loads.
    chunkSizeWarningLimit: 1_600,
  },
  server: { proxy: { '/api': 'http://127.0.0.1:8470' } },
  test: { include: ['src/**/*.test.ts', 'src/**/*.test.tsx'] },
});
