//! One statement from request to answer: who asks, what, and by which way it is done.

mod exceptions;
mod form;
mod insert;
mod prepare;
mod select;
mod source;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::header::{EXPECT, HeaderValue};
use http::{Method, StatusCode};
use tokio_util::sync::CancellationToken;
use zepto_common::auth::Subject;
use zepto_common::limits::{QUEUE_WAIT, STATEMENT_BYTES_MAX};
use zepto_common::schema::TableName;
use zepto_common::service::{Ending, RequestContext, Role};
use zepto_common::{Error, ErrorCode, Result};
use zepto_formats::Format;
use zepto_formats::insert::InsertHead;

use crate::access;
use crate::body::drain;
use crate::connection::Flushes;
use crate::deflate::Encoding;
use crate::door::{Forward, ForwardedStatement, Service};
use crate::reply::{self, QUERY_ID, TIMEZONE};
use crate::sessions::Lease;
use crate::settings::RequestSettings;
use crate::statement::StatementKind;
use form::Form;
use source::Source;

/// Everything about one request but its body.
#[derive(Clone)]
struct Call {
    service: Arc<Service>,
    subject: Subject,
    settings: RequestSettings,
    query_id: String,
    encoding: Encoding,
    /// The method allows reading only.
    read_only: bool,
    started: Instant,
    flushes: Arc<Flushes>,
    /// Tables that came with the request, and the room that they take.
    form: Arc<Form>,
    /// The session that this request uses.
    lease: Option<Arc<Lease>>,
    head: Arc<Head>,
    /// What the statement's end asks of the answer, once that is known.
    ending: Arc<OnceLock<Ending>>,
}

/// A request's head as it came, for a node that passes statements on.
struct Head {
    uri: http::Uri,
    headers: http::HeaderMap,
    /// Its body was a form.
    form: bool,
}

/// `/`: a statement by GET or POST.
pub(crate) async fn statement(State(service): State<Arc<Service>>, request: Request) -> Response {
    let method = request.method().clone();
    if method == Method::OPTIONS {
        return preflight();
    }
    if ![Method::GET, Method::HEAD, Method::POST].contains(&method) {
        let text = format!("The path / does not take {method}\n");
        return reply::text(StatusCode::METHOD_NOT_ALLOWED, reply::TEXT, text);
    }
    let asks = request.uri().query().is_some_and(|query| query.split('&').any(|p| p.starts_with("query=")));
    if method != Method::POST && !asks {
        return reply::text(StatusCode::OK, reply::TEXT, "Ok.\n");
    }
    run(service, request, &[], |call, mut source| async move {
        match call.dispatch(&mut source).await {
            Ok(response) => Ok(response),
            Err(error) => {
                source.drain().await;
                Err(error)
            }
        }
    })
    .await
}

/// `/insert/arrow?table=`: an Arrow IPC stream, columns matched by name.
pub(crate) async fn insert_arrow(State(service): State<Arc<Service>>, request: Request) -> Response {
    insert_into_table(service, request, Format::ArrowStream).await
}

/// `/insert/msgpack?table=`: a MessagePack map of column name to array.
pub(crate) async fn insert_msgpack(State(service): State<Arc<Service>>, request: Request) -> Response {
    insert_into_table(service, request, Format::MsgPackColumns).await
}

/// The whole body is data for the parameter `table`.
async fn insert_into_table(service: Arc<Service>, request: Request, format: Format) -> Response {
    run(service, request, &["table"], |call, mut source| async move {
        let table = source.parameter("table").map(|name| parse_table(name, &call.settings.database));
        let inserted = match table {
            Some(Ok(table)) => call.insert_whole_body(table, format, &mut source).await,
            Some(Err(error)) => Err(error),
            None => Err(Error::new(ErrorCode::BadArguments, "the parameter table is missing")),
        };
        if inserted.is_err() {
            source.drain().await;
        }
        inserted
    })
    .await
}

/// What every answer to a statement says, also the one to a request that could not be understood.
struct Told {
    query_id: String,
    cors: bool,
    /// Errors too are in native blocks.
    packed: bool,
}

/// Prepares a call, runs it, and puts on its answer what every answer to a statement has.
async fn run<F, R>(service: Arc<Service>, request: Request, also: &[&str], work: F) -> Response
where
    F: FnOnce(Arc<Call>, Source) -> R + Send,
    R: Future<Output = Result<Response>> + Send,
{
    let mut told = Told { query_id: fresh_query_id(), cors: false, packed: false };
    let (parts, body) = request.into_parts();
    let asks_first = parts.headers.contains_key(EXPECT);
    let mut body = Some(body);
    let prepared = Box::pin(prepare::prepare(&service, parts, &mut body, also, &mut told)).await;
    let worked = match prepared {
        Ok((call, source)) => {
            let call = Arc::new(call);
            let worked = Box::pin(work(call.clone(), source)).await;
            worked.or_else(|error| call.told_in_format(&error).ok_or(error))
        }
        Err(error) => {
            // Who is still sending would see a broken connection and not why; who asks first does not send.
            if let Some(body) = body.filter(|_| !asks_first) {
                drain(body).await;
            }
            Err(error)
        }
    };
    let version = &service.identity().version;
    let mut response = worked.unwrap_or_else(|error| reply::packed_error_reply(&error, version, told.packed));
    let headers = response.headers_mut();
    reply::put(headers, QUERY_ID, &told.query_id);
    headers.insert(TIMEZONE, HeaderValue::from_static("UTC"));
    if told.cors {
        headers.insert(http::header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    }
    response
}

impl Call {
    /// Reads the statement's head and goes the way of its kind.
    async fn dispatch(self: &Arc<Self>, source: &mut Source) -> Result<Response> {
        source.begin(&self.settings.statement);
        let kind = source.kind().await?;
        if kind == StatementKind::Empty {
            return Err(Error::new(ErrorCode::SyntaxError, "Syntax error: Empty query"));
        }
        access::require(&self.subject, kind.role())?;
        if (self.read_only || self.settings.read_only) && !kind.reads() {
            let text = if self.read_only {
                "Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly. \
                 You should use method POST for modifying queries"
            } else {
                "Cannot execute query in readonly mode"
            };
            return Err(Error::new(ErrorCode::InsertIntoReadonly, text));
        }
        if kind == StatementKind::Insert
            && let Some(head) = source.insert_head(&self.settings.params).await?
        {
            return self.insert(head, source).await;
        }
        let sql = source.whole_statement(STATEMENT_BYTES_MAX).await?;
        match self.service.door.node.forward() {
            Some(forward) => self.forward(forward, sql).await,
            None => self.select(&sql, kind).await,
        }
    }

    /// Lets another node run the statement; who asks was checked here, and is again there.
    async fn forward(&self, forward: &dyn Forward, sql: String) -> Result<Response> {
        let statement = ForwardedStatement {
            uri: self.head.uri.clone(),
            headers: self.head.headers.clone(),
            read_only: self.read_only,
            sql,
            form: self.head.form.then(|| self.form.whole.clone()),
            session: self.lease.as_ref().map(|lease| lease.id().to_owned()),
            query_id: self.query_id.clone(),
            deadline: self.started + self.query_time() + QUEUE_WAIT,
        };
        let answer = forward.forward(statement).await?;
        let flushes = self.flushes.clone();
        Ok(answer.map(|body| Body::from_stream(flushes.before_breaks(body.into_data_stream()))))
    }

    async fn insert(self: &Arc<Self>, head: InsertHead, source: &mut Source) -> Result<Response> {
        let InsertHead { table: (database, table), settings, format, .. } = head.clone();
        let call = if settings.is_empty() {
            self.clone()
        } else {
            Arc::new(Self { settings: self.settings.with_clause(&settings)?, ..Self::clone(self) })
        };
        let database = database.unwrap_or_else(|| call.settings.database.clone());
        let Some(format) = format.or_else(|| call.settings.default_format.clone()) else {
            let message =
                "Syntax error: INSERT needs VALUES, FORMAT or SELECT, or the request a default_format";
            return Err(Error::new(ErrorCode::SyntaxError, message));
        };
        let format = Format::parse(&format)?;
        let target = insert::Target { table: TableName::new(database, table), head: Some(head), format };
        insert::run(&call, target, source).await
    }

    async fn insert_whole_body(
        self: &Arc<Self>,
        table: TableName,
        format: Format,
        source: &mut Source,
    ) -> Result<Response> {
        access::require(&self.subject, Role::Writer)?;
        if self.settings.read_only {
            return Err(Error::new(ErrorCode::InsertIntoReadonly, "Cannot execute query in readonly mode"));
        }
        insert::run(self, insert::Target { table, head: None, format }, source).await
    }

    /// What the query service is told about the request.
    fn context(&self, sql: &str, kind: StatementKind, cancel: CancellationToken) -> RequestContext {
        let read_only = self.read_only
            || self.settings.read_only
            // Whoever may not change anything is held to reading, whatever the statement turns out to be.
            || (kind.reads() && self.subject.role < Role::Admin);
        RequestContext {
            query_id: self.query_id.clone(),
            user: self.subject.name.clone(),
            role: self.subject.role,
            database: self.settings.database.clone(),
            settings: self.settings.settings.clone(),
            params: self.settings.params_for(sql),
            external_tables: self.form.tables.clone(),
            ending: self.ending.clone(),
            read_only,
            deadline: self.started + self.query_time(),
            cancel,
        }
    }

    fn query_time(&self) -> Duration {
        self.settings.max_execution_time.unwrap_or(self.service.door.limits.query_time)
    }
}

/// `db.table` or `table`, each perhaps in backquotes or double quotes.
fn parse_table(name: &str, database: &str) -> Result<TableName> {
    let parts: Vec<&str> = name.split('.').map(|part| part.trim_matches(['`', '"'])).collect();
    match parts[..] {
        [table] if !table.is_empty() => Ok(TableName::new(database, table)),
        [database, table] if !table.is_empty() && !database.is_empty() => Ok(TableName::new(database, table)),
        _ => Err(Error::new(ErrorCode::BadArguments, "the parameter table is not a table's name")),
    }
}

fn fresh_query_id() -> String {
    format!("q_{}", uuid::Uuid::new_v4().simple())
}

/// The answer to a browser that asks whether it may.
fn preflight() -> Response {
    let mut response = reply::text(StatusCode::NO_CONTENT, reply::TEXT, Body::empty());
    let headers = response.headers_mut();
    headers.insert(http::header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    let methods = HeaderValue::from_static("GET, HEAD, POST, OPTIONS");
    headers.insert(http::header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    headers.insert(http::header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("*, Authorization"));
    response
}
