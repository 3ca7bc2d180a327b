import SwaggerUI from 'swagger-ui-dist/swagger-ui-es-bundle.js';
import 'swagger-ui-dist/swagger-ui.css';
import './styles/api.css';

SwaggerUI({
  url: '/api/openapi.json',
  domNode: document.getElementById('root'),
  deepLinking: true,
  docExpansion: 'list',
  validatorUrl: null,
});
