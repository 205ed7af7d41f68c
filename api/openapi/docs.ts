import { createReadStream } from 'node:fs';
import path from 'node:path';
import { absolutePath } from 'swagger-ui-dist';
import type { ApiMiddleware } from '../context';
import type { JsonSchema } from './components';

const assets = new Map([
  ['/docs/swagger-ui.css', 'text/css; charset=utf-8'],
  ['/docs/swagger-ui-bundle.js', 'text/javascript; charset=utf-8'],
  ['/docs/favicon-32x32.png', 'image/png'],
]);

// Everything comes from here; Swagger UI writes style attributes and draws its icons as data URLs.
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const page = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Carillon API</title>
    <link rel="stylesheet" href="/docs/swagger-ui.css">
    <link rel="icon" type="image/png" href="/docs/favicon-32x32.png">
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="/docs/swagger-ui-bundle.js"></script>
    <script src="/docs/start.js"></script>
  </body>
</html>
`;

const start = `window.onload = () => {
  SwaggerUIBundle({ url: '/openapi.json', dom_id: '#swagger-ui', deepLinking: true, validatorUrl: null });
};
`;

/**
 * Serves the document under /openapi.json, shows it under /docs, and tells who may do what under
 * /docs/permissions, all without a token.
 */
export function docs(document: () => JsonSchema, permissions: () => string): ApiMiddleware {
  let json: string | undefined;
  return async (context, next) => {
    if (context.method !== 'GET' && context.method !== 'HEAD') {
      return next();
    }
    const asset = assets.get(context.path);
    if (context.path === '/openapi.json') {
      json ??= JSON.stringify(document());
      context.body = json;
      context.type = 'application/json';
    } else if (context.path === '/docs' || context.path === '/docs/') {
      context.set('Content-Security-Policy', policy);
      context.body = page;
      context.type = 'text/html; charset=utf-8';
    } else if (context.path === '/docs/start.js') {
      context.body = start;
      context.type = 'text/javascript; charset=utf-8';
    } else if (context.path === '/docs/permissions') {
      context.body = permissions();
      context.type = 'text/markdown; charset=utf-8';
    } else if (asset !== undefined) {
      context.body = createReadStream(path.join(absolutePath(), path.basename(context.path)));
      context.type = asset;
    } else {
      return next();
    }
    context.set('Cache-Control', asset === undefined ? 'no-cache' : 'public, max-age=86400');
    context.state.routePattern = context.path;
  };
}
