import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { routes } from '../router';
import { permissionsPage } from './permissionsPage';

// `npm run docs:permissions`
writeFileSync(path.resolve('docs/PERMISSIONS.md'), permissionsPage(routes));
