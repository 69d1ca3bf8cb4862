//! The rows of one resource.
//!
//! Every column is evaluated once for each context and becomes a [`Cell`]; rows are lists of cell numbers, so that a
//! column which a cross join repeats is neither evaluated nor copied again. Everything that can be refused is refused
//! while cells are made, before a builder sees any of them.

use super::places::Frame;
use super::{Evaluator, Memory, Scope};
use crate::cell::{Cell, Origin, TextRef};
use crate::column::Coercion;
use crate::error::{Code, RowError};
use crate::output::{ColumnType, OutputType};
use crate::program::{ColumnPlan, Expr, Item, IterationPlan, Place, SelectPlan, Value};
use crate::rows::{ResourceMeta, RowOptions};
use crate::tape::{NodeType, Tape, TapeNode};
use crate::view::View;

/// What a resource is flattened by.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) view: &'a View,
    pub(crate) types: &'a [ColumnType],
    pub(crate) options: &'a RowOptions,
    pub(crate) meta: &'a ResourceMeta,
}

/// The memory that flattening needs, kept from resource to resource.
#[derive(Debug, Default)]
pub(crate) struct Flattener {
    tape: Tape,
    memory: Memory,
    cells: Vec<Cell>,
    lists: Vec<Cell>,
    bytes: Vec<u8>,
    grid: Vec<u32>,
    pool: Vec<Vec<u32>>,
}

impl Flattener {
    pub(crate) fn new(vectors: bool) -> Self {
        Self {
            tape: if vectors {
                Tape::default()
            } else {
                Tape::portable()
            },
            ..Self::default()
        }
    }

    /// Computes the rows of a resource; they live until the next call.
    pub(crate) fn flatten<'a>(
        &'a mut self,
        source: Source<'a>,
        resource: &'a [u8],
    ) -> Result<Flat<'a>, RowError> {
        self.clear();
        let program = &source.view.program;
        let (json, root) = self.tape.read(resource, 0, &program.trie)?;
        let sources = [json];
        let mut work = Work {
            evaluator: Evaluator {
                program,
                tape: &self.tape,
                sources: &sources,
                roots: [Some(root); 3],
                resolved: None,
                meta: source.meta,
                memory: &mut self.memory,
            },
            source,
            cells: &mut self.cells,
            lists: &mut self.lists,
            bytes: &mut self.bytes,
            pool: &mut self.pool,
            partial_dates: 0,
        };
        let rows = if work.is_wanted(root)? {
            work.rows(root, &mut self.grid)?
        } else {
            0
        };
        let partial_dates = work.partial_dates;
        Ok(Flat {
            flattener: self,
            json,
            view: source.view,
            rows,
            partial_dates,
        })
    }

    fn clear(&mut self) {
        self.tape.clear();
        self.memory.stack.clear();
        self.memory.made.clear();
        self.memory.found.clear();
        self.cells.clear();
        self.lists.clear();
        self.bytes.clear();
        self.grid.clear();
    }
}

/// The rows of one resource, complete and of the right types.
pub(crate) struct Flat<'a> {
    flattener: &'a Flattener,
    json: &'a str,
    view: &'a View,
    rows: usize,
    partial_dates: u64,
}

impl Flat<'_> {
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn partial_dates(&self) -> u64 {
        self.partial_dates
    }

    /// More bytes than the cells of any one column take.
    pub(crate) fn most_bytes(&self) -> usize {
        let texts = self.json.len()
            + self.flattener.tape.unescaped.len()
            + self.flattener.memory.made.len()
            + self.flattener.bytes.len()
            + self.view.program.literals.len();
        let cells = self.rows.saturating_mul(1 + self.flattener.lists.len());
        cells.saturating_mul(texts + 8)
    }

    /// The cells of a column, row by row.
    pub(crate) fn cells(&self, column: usize) -> impl Iterator<Item = Cell> {
        let width = self.view.columns.len();
        (0..self.rows)
            .map(move |row| self.flattener.cells[self.flattener.grid[row * width + column] as usize])
    }

    pub(crate) fn list(&self, start: u32, length: u32) -> &[Cell] {
        &self.flattener.lists[start as usize..(start + length) as usize]
    }

    pub(crate) fn text(&self, text: TextRef) -> &str {
        let whole = match text.origin {
            Origin::Source(_) => self.json,
            Origin::Unescaped => &self.flattener.tape.unescaped,
            Origin::Made => &self.flattener.memory.made,
            Origin::Literal => &self.view.program.literals,
        };
        &whole[text.start as usize..(text.start + text.length) as usize]
    }

    pub(crate) fn bytes(&self, start: u32, length: u32) -> &[u8] {
        &self.flattener.bytes[start as usize..(start + length) as usize]
    }
}

struct Work<'a> {
    evaluator: Evaluator<'a>,
    source: Source<'a>,
    cells: &'a mut Vec<Cell>,
    lists: &'a mut Vec<Cell>,
    bytes: &'a mut Vec<u8>,
    pool: &'a mut Vec<Vec<u32>>,
    partial_dates: u64,
}

/// What columns are evaluated on: for the interpreter, and for fast steps where they know it.
#[derive(Clone, Copy)]
struct Context {
    scope: Scope,
    frame: Option<Frame>,
}

/// Rows of some columns, as cell numbers, row after row.
struct Table {
    width: usize,
    rows: usize,
    data: Vec<u32>,
}

impl Work<'_> {
    /// Whether the resource is of the view's type and meets its conditions.
    fn is_wanted(&mut self, root: u32) -> Result<bool, RowError> {
        let field = 0;
        let tape = self.evaluator.tape;
        let own = tape.nodes[root as usize + 1..]
            .iter()
            .find(|node| node.field == field && node.parent == root);
        let Some(own) = own else {
            return Err(RowError::new(
                Code::MalformedResource,
                "the resource has no `resourceType`",
            ));
        };
        if self.evaluator.text(own.text) != self.source.view.resource {
            return Ok(false);
        }
        let program = self.evaluator.program;
        for condition in &program.wheres {
            if !self
                .evaluator
                .condition(condition, Scope::on(Some(Item::Node(root)), 0))?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn rows(&mut self, root: u32, grid: &mut Vec<u32>) -> Result<usize, RowError> {
        let program = self.evaluator.program;
        let context = self.enter(&program.places, Item::Node(root), 0);
        let mut whole = self.unit();
        for select in &program.selects {
            let table = self.select(select, context)?;
            whole = self.join(whole, table)?;
        }
        grid.extend_from_slice(&whole.data);
        let rows = whole.rows;
        self.give_back(whole);
        Ok(rows)
    }

    fn enter(&mut self, places: &[Place], item: Item, number: usize) -> Context {
        Context {
            scope: Scope::on(Some(item), number),
            frame: self.evaluator.enter(places, item),
        }
    }

    fn table(&mut self, width: usize) -> Table {
        Table {
            width,
            rows: 0,
            data: self.pool.pop().unwrap_or_default(),
        }
    }

    fn give_back(&mut self, mut table: Table) {
        table.data.clear();
        self.pool.push(table.data);
    }

    /// One row without columns: what joins begin with.
    fn unit(&mut self) -> Table {
        Table {
            rows: 1,
            ..self.table(0)
        }
    }

    fn select(&mut self, plan: &SelectPlan, context: Context) -> Result<Table, RowError> {
        let or_null = match &plan.iteration {
            IterationPlan::None => return self.body(plan, context),
            IterationPlan::ForEachOrNull(_) => true,
            IterationPlan::ForEach(_) | IterationPlan::Repeat(_) => self.source.meta.deleted,
        };
        let mut table = self.table(plan.width);
        let count = match (plan.items, context.frame) {
            (Some(place), Some(frame)) => self.each_node(plan, (frame, place), &mut table)?,
            _ => self.each_item(plan, context.scope, &mut table)?,
        };
        if count == 0 && or_null {
            self.null_row(plan, true, &mut table.data);
            table.rows = 1;
        }
        Ok(table)
    }

    /// The rows of all nodes of a place; answers how many nodes there are.
    fn each_node(
        &mut self,
        plan: &SelectPlan,
        (frame, place): (Frame, usize),
        table: &mut Table,
    ) -> Result<usize, RowError> {
        let count = self.evaluator.memory.found.nodes(frame, place).len();
        for number in 0..count {
            let node = self.evaluator.memory.found.nodes(frame, place)[number];
            self.item(plan, Item::Node(node), number, table)?;
        }
        Ok(count)
    }

    /// The rows of all items that the iteration gives as an expression; answers how many items there are.
    fn each_item(&mut self, plan: &SelectPlan, scope: Scope, table: &mut Table) -> Result<usize, RowError> {
        let base = self.evaluator.memory.stack.len();
        match &plan.iteration {
            IterationPlan::None => {}
            IterationPlan::ForEach(path) | IterationPlan::ForEachOrNull(path) => {
                self.evaluator.eval(path, scope)?;
            }
            IterationPlan::Repeat(paths) => {
                if let Some(item) = scope.this {
                    let limit = base + self.source.options.max_rows_per_resource;
                    self.evaluator.descend(paths, item, scope, limit)?;
                }
            }
        }
        let end = self.evaluator.memory.stack.len();
        for position in base..end {
            let item = self.evaluator.memory.stack[position];
            self.item(plan, item, position - base, table)?;
        }
        self.evaluator.memory.stack.truncate(base);
        Ok(end - base)
    }

    fn item(
        &mut self,
        plan: &SelectPlan,
        item: Item,
        number: usize,
        table: &mut Table,
    ) -> Result<(), RowError> {
        let context = self.enter(&plan.places, item, number);
        let part = self.body(plan, context)?;
        self.evaluator.leave(context.frame);
        self.stack_up(table, part)
    }

    /// The rows of one context: own columns, joined with nested selects, joined with the rows of all branches.
    fn body(&mut self, plan: &SelectPlan, context: Context) -> Result<Table, RowError> {
        let mut table = self.table(plan.columns.len());
        table.rows = 1;
        for column in &plan.columns {
            let cell = self.cell(column, context)?;
            table.data.push(cell);
        }
        for nested in &plan.selects {
            let part = self.select(nested, context)?;
            table = self.join(table, part)?;
        }
        if let Some(first) = plan.unions.first() {
            let mut branches = self.table(first.width);
            for branch in &plan.unions {
                let part = self.select(branch, context)?;
                self.stack_up(&mut branches, part)?;
            }
            table = self.join(table, branches)?;
        }
        Ok(table)
    }

    fn check_rows(&self, rows: Option<usize>) -> Result<usize, RowError> {
        let most = self.source.options.max_rows_per_resource;
        rows.filter(|rows| *rows <= most).ok_or_else(|| {
            RowError::new(
                Code::TooManyRows,
                format!("the resource gives more than {most} rows"),
            )
        })
    }

    /// The rows of the second under those of the first.
    fn stack_up(&mut self, table: &mut Table, part: Table) -> Result<(), RowError> {
        table.rows = self.check_rows(table.rows.checked_add(part.rows))?;
        table.data.extend_from_slice(&part.data);
        self.give_back(part);
        Ok(())
    }

    /// Every row of the first with every row of the second.
    fn join(&mut self, left: Table, right: Table) -> Result<Table, RowError> {
        let rows = self.check_rows(left.rows.checked_mul(right.rows))?;
        if left.width == 0 && left.rows == 1 {
            self.give_back(left);
            return Ok(right);
        }
        let mut joined = self.table(left.width + right.width);
        joined.rows = rows;
        for row in 0..left.rows {
            let own = &left.data[row * left.width..(row + 1) * left.width];
            for other in 0..right.rows {
                joined.data.extend_from_slice(own);
                joined
                    .data
                    .extend_from_slice(&right.data[other * right.width..(other + 1) * right.width]);
            }
        }
        self.give_back(left);
        self.give_back(right);
        Ok(joined)
    }

    /// The row that stands for no items: all columns null, but for the row's own number.
    fn null_row(&mut self, plan: &SelectPlan, own: bool, data: &mut Vec<u32>) {
        for column in &plan.columns {
            let list = self.source.types[column.index].list;
            let cell = match column.expr {
                Expr::RowIndex if own && !list => Cell::Integer(0),
                _ if list => Cell::List { start: 0, length: 0 },
                _ => Cell::Null,
            };
            let cell = self.keep(cell);
            data.push(cell);
        }
        for nested in plan.selects.iter().chain(plan.unions.first()) {
            let own = own && matches!(nested.iteration, IterationPlan::None);
            self.null_row(nested, own, data);
        }
    }

    fn keep(&mut self, cell: Cell) -> u32 {
        self.cells.push(cell);
        self.cells.len() as u32 - 1
    }

    /// Makes the cell of a column and answers its number.
    fn cell(&mut self, column: &ColumnPlan, context: Context) -> Result<u32, RowError> {
        let number = self.cells.len() as u32;
        if !self.plain_cell(column, context) {
            let cell = self.column_cell(column, context).map_err(|error| {
                let name = &self.source.view.columns[column.index].name;
                error.at_column(name).at_row(context.scope.row_index)
            })?;
            self.cells.push(cell);
        }
        Ok(number)
    }

    /// Makes the cell of a column that is a text as it stands in the resource, or nothing; false for any other.
    fn plain_cell(&mut self, column: &ColumnPlan, context: Context) -> bool {
        let (Some(frame), Value::Nodes(place)) = (context.frame, &column.value) else {
            return false;
        };
        let column_type = self.source.types[column.index];
        match *self.evaluator.memory.found.nodes(frame, *place) {
            _ if column_type.list => return false,
            [] => self.cells.push(Cell::Null),
            [node] => match self.evaluator.tape.nodes[node as usize] {
                TapeNode {
                    kind: NodeType::Text(_) | NodeType::Number,
                    text,
                    ..
                } if column_type.output == OutputType::Utf8 => self.cells.push(Cell::Text(text)),
                _ => return false,
            },
            _ => return false,
        }
        true
    }

    fn column_cell(&mut self, column: &ColumnPlan, context: Context) -> Result<Cell, RowError> {
        let base = self.evaluator.memory.stack.len();
        match (context.frame, &column.value) {
            (None, _) | (_, Value::General) => self.evaluator.eval(&column.expr, context.scope)?,
            (Some(frame), value) => self.evaluator.give(value, frame)?,
        }
        self.pop_cell(base, self.source.types[column.index])
    }

    /// The cell of the items on the stack, taken off it.
    fn pop_cell(&mut self, base: usize, column_type: ColumnType) -> Result<Cell, RowError> {
        let end = self.evaluator.memory.stack.len();
        let cell = if column_type.list {
            let mut cells = Vec::with_capacity(end - base);
            for position in base..end {
                cells.push(self.coerce(self.evaluator.memory.stack[position], column_type)?);
            }
            let start = self.lists.len() as u32;
            self.lists.extend(cells);
            Cell::List {
                start,
                length: (end - base) as u32,
            }
        } else {
            match end - base {
                0 => Cell::Null,
                1 => self.coerce(self.evaluator.memory.stack[base], column_type)?,
                _ => {
                    return Err(RowError::new(
                        Code::ManyValues,
                        "several values in a column that holds one",
                    ));
                }
            }
        };
        self.evaluator.memory.stack.truncate(base);
        Ok(cell)
    }

    fn coerce(&mut self, item: Item, column_type: ColumnType) -> Result<Cell, RowError> {
        let mut coercion = Coercion {
            partial_dates: self.source.options.partial_dates,
            partials: &mut self.partial_dates,
            bytes: self.bytes,
        };
        coercion.cell(&mut self.evaluator, item, column_type.output)
    }
}
