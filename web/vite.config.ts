import optimizeLocales from '@react-aria/optimize-locales-plugin';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

// Two entries of the admin page. The chat page of `guildhook serve` has a configuration of its own.
export default defineConfig({
  // The page speaks English, and so do the widgets of its library.
  plugins: [react(), { ...optimizeLocales.vite({ locales: ['en-GB', 'en-US'] }), enforce: 'pre' }],
  build: {
    outDir: '../functions/admin_api/page',
    emptyOutDir: true,
    target: 'es2022',
    // The page's policy has no place for code or styles that are not files of its own.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    license: { fileName: 'licenses.md' },
    rolldownOptions: { input: ['index.html', 'api.html'] },
    // The page of the API is one library, which only that page loads.
    chunkSizeWarningLimit: 1_600,
  },
  server: { proxy: { '/api': 'http://127.0.0.1:8470' } },
  test: { include: ['src/**/*.test.ts', 'src/**/*.test.tsx'] },
});
