//! What Spark means by the same words: the types and names of literals, division, and casts whose meaning differs.
//!
//! The query is changed before it is planned, so that DataFusion answers in Spark's types.

use std::ops::ControlFlow;

use deltalake::datafusion::sql::parser::Statement;
use deltalake::datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    GroupByExpr, Ident, OrderByKind, Query, Select, SelectItem, SetExpr, Statement as Parsed, UnaryOperator,
    Value, VisitMut, VisitorMut,
};
use deltalake::datafusion::sql::sqlparser::dialect::GenericDialect;
use deltalake::datafusion::sql::sqlparser::parser::Parser;

/// Changes a query to what Spark means by it.
pub(super) fn like_spark(statement: &mut Statement) {
    let Statement::Statement(parsed) = statement else {
        return;
    };
    // A column is named by what was written, so before that is replaced.
    if let Parsed::Query(query) = parsed.as_mut() {
        names(query.body.as_mut());
    }
    let flow = VisitMut::visit(parsed.as_mut(), &mut LikeSpark);
    debug_assert!(flow.is_continue());
}

/// The columns of a query are named by its first SELECT.
fn names(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => select.projection.iter_mut().for_each(named),
        SetExpr::SetOperation { left, .. } => names(left.as_mut()),
        SetExpr::Query(query) => names(query.body.as_mut()),
        _ => {}
    }
}

/// An expression without a name is named by its text.
fn named(item: &mut SelectItem) {
    let SelectItem::UnnamedExpr(expression) = item else {
        return;
    };
    if matches!(expression, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
        return;
    }
    let shown = expression.to_string().trim_matches('\'').to_owned();
    *item = SelectItem::ExprWithAlias {
        expr: expression.clone(),
        alias: Ident::with_quote('"', shown),
    };
}

struct LikeSpark;

impl VisitorMut for LikeSpark {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let SetExpr::Values(values) = query.body.as_mut() {
            for row in &mut values.rows {
                row.content.iter_mut().for_each(narrow);
            }
        }
        if let Some(order) = &mut query.order_by
            && let OrderByKind::Expressions(expressions) = &mut order.kind
        {
            let keys = expressions.iter_mut().map(|key| &mut key.expr);
            keys.filter(|key| !is_number(key)).for_each(narrow);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expression) | SelectItem::ExprWithAlias { expr: expression, .. } =
                item
            {
                narrow(expression);
            }
        }
        // A bare number is the place of a column there.
        if let GroupByExpr::Expressions(expressions, _) = &mut select.group_by {
            let keys = expressions.iter_mut();
            keys.filter(|key| !is_number(key)).for_each(narrow);
        }
        select.having.iter_mut().for_each(narrow);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if let Some(call) = call(expression).and_then(|call| expression_of(&call)) {
            *expression = call;
        }
        ControlFlow::Continue(())
    }
}

fn is_number(expression: &Expr) -> bool {
    matches!(expression, Expr::Value(value) if matches!(value.value, Value::Number(..)))
}

/// Makes the whole numbers of an expression INT where they fit; DataFusion would have BIGINT.
fn narrow(expression: &mut Expr) {
    let is_negated =
        matches!(expression, Expr::UnaryOp { op: UnaryOperator::Minus, expr } if is_number(expr));
    if is_negated || is_number(expression) {
        let text = expression.to_string();
        if text.parse::<i32>().is_ok()
            && let Some(cast) = expression_of(&format!("CAST({text} AS INT)"))
        {
            *expression = cast;
        }
        return;
    }
    match expression {
        Expr::UnaryOp { expr, .. } | Expr::Nested(expr) => narrow(expr),
        Expr::BinaryOp { left, right, .. } => {
            narrow(left);
            narrow(right);
        }
        Expr::Case {
            conditions,
            else_result,
            ..
        } => {
            conditions
                .iter_mut()
                .for_each(|branch| narrow(&mut branch.result));
            else_result.iter_mut().for_each(|result| narrow(result));
        }
        Expr::Function(function) => narrow_arguments(function),
        _ => {}
    }
}

/// What a function answers with one of its arguments has their type.
fn narrow_arguments(function: &mut Function) {
    let passes_on = ["coalesce", "nullif", "greatest", "least"];
    let name = function.name.to_string().to_lowercase();
    if !passes_on.contains(&name.as_str()) {
        return;
    }
    if let FunctionArguments::List(list) = &mut function.args {
        for argument in &mut list.args {
            if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) = argument {
                narrow(expression);
            }
        }
    }
}

/// The call that stands for an expression whose meaning differs.
fn call(expression: &Expr) -> Option<String> {
    match expression {
        Expr::BinaryOp {
            left,
            op: BinaryOperator::Divide,
            right,
        } => Some(format!("spark_divide({left}, {right})")),
        Expr::Cast {
            kind,
            expr,
            data_type,
            ..
        } => match data_type {
            DataType::String(_) => Some(format!("spark_string({expr})")),
            DataType::Timestamp(..) => {
                let tries = matches!(kind, CastKind::TryCast | CastKind::SafeCast);
                let function = if tries { "arrow_try_cast" } else { "arrow_cast" };
                Some(format!(
                    "{function}({expr}, 'Timestamp(Microsecond, Some(\"UTC\"))')"
                ))
            }
            _ => None,
        },
        _ => None,
    }
}

fn expression_of(text: &str) -> Option<Expr> {
    Parser::new(&GenericDialect {})
        .try_with_sql(text)
        .ok()?
        .parse_expr()
        .ok()
}

#[cfg(test)]
mod tests {
    use deltalake::datafusion::sql::parser::DFParserBuilder;

    use super::*;

    fn changed(sql: &str) -> String {
        let mut parser = DFParserBuilder::new(sql)
            .with_dialect(&GenericDialect {})
            .build()
            .unwrap();
        let mut statement = parser.parse_statements().unwrap().remove(0).unwrap();
        like_spark(&mut statement);
        statement.to_string()
    }

    #[test]
    fn a_query_means_what_spark_means() {
        for (sql, expected) in [
            ("SELECT 1", "SELECT CAST(1 AS INT) AS \"1\""),
            ("SELECT -7", "SELECT CAST(-7 AS INT) AS \"-7\""),
            ("SELECT 3000000000", "SELECT 3000000000 AS \"3000000000\""),
            ("SELECT a, 'x' FROM t", "SELECT a, 'x' AS \"x\" FROM t"),
            (
                "SELECT n + 1 AS m FROM t GROUP BY n + 1, 1 ORDER BY 1 LIMIT 1",
                "SELECT n + CAST(1 AS INT) AS m FROM t GROUP BY n + CAST(1 AS INT), 1 ORDER BY 1 LIMIT 1",
            ),
            (
                "SELECT a / b AS q FROM t WHERE a / 2 > 1",
                "SELECT spark_divide(a, b) AS q FROM t WHERE spark_divide(a, 2) > 1",
            ),
            (
                "SELECT CAST(a AS STRING) AS s FROM (VALUES (1)) AS v(a)",
                "SELECT spark_string(a) AS s FROM (VALUES (CAST(1 AS INT))) AS v (a)",
            ),
            (
                "SELECT coalesce(n, 0) AS m, round(n, 2) AS r FROM t",
                "SELECT coalesce(n, CAST(0 AS INT)) AS m, round(n, 2) AS r FROM t",
            ),
            (
                "SELECT 1 UNION ALL SELECT 2",
                "SELECT CAST(1 AS INT) AS \"1\" UNION ALL SELECT CAST(2 AS INT)",
            ),
        ] {
            assert_eq!(changed(sql), expected, "{sql}");
        }
    }
}
